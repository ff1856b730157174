//! Files on the host: archives made by the tests, frames that are numbers, threads of the host.

mod block;
mod devices;
mod directory;
mod epoll;
mod fat;
mod initramfs;
mod lock;
mod metadata;
mod model;
mod mount;
mod offset;
mod open;
mod open_file;
mod pages;
mod path;
mod pipe;
mod poll;
mod rules;
mod socket;
mod splice;
mod support;
mod table;
mod tmpfs;
mod tmpfs_model;
mod transfer;
mod watch;
