#!/bin/sh
# Makes the images that tests of ext2, ext3 and ext4 read, with the programs of e2fsprogs (1.47), without root. They are in
# the tree, so that the tests need no programs; this says what is in them, and makes them again.
#
#   cd kernel/core/src/fs/tests/ext && sh make-images.sh
set -eu
export LC_ALL=C E2FSPROGS_FAKE_TIME=1700000000 MKE2FS_CONFIG=/dev/null E2FSCK_CONFIG=/dev/null
PATH=$PATH:/sbin:/usr/sbin
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# What is in all of them.
mkdir -p tree/sub/dir tree/many
printf 'hello\n' > tree/hello
: > tree/empty
seq 1 4000 > tree/numbers
seq 1 700 > tree/sub/dir/deep
printf '%0100d' 0 > tree/sub/inline
seq -s ' ' 1 1100 | head -c 4196 > tree/padded
i=0
while [ $i -lt 300 ]; do
    echo $i > "tree/many/file number $i, with a name of some length"
    i=$((i + 1))
done
rm 'tree/many/file number 7, with a name of some length'
ln tree/hello tree/sub/same
ln -s hello tree/short
ln -s "$(printf 'sub/../%.0s' $(seq 1 20))hello" tree/long
ln -s "$(printf 'sub/../%.0s' $(seq 1 13))hello" tree/middle
# Data far behind a hole.
printf 'behind the hole' | dd of=tree/sparse bs=1 seek=3000000 status=none
find tree -exec touch -h -d @1600000000 {} +

# Name, size, size of a block, options of mke2fs; and `comb` for a file of which every other block is a hole, or
# `deep` for directories in directories.
make() {
    name=$1 size=$2 block=$3 options=$4 extra=$5
    cat > changes <<C
mknod pipe p
mknod null c 1 3
mknod disk b 8 1
sif disk block[0] 0
sif disk block[1] 0x11112c70
sif hello mode 0104751
sif hello uid 70000
sif hello gid 80000
sif hello mtime @4300000000
sif hello atime @1000000000
C
    # debugfs knows not how with data in inodes.
    if [ "$name" != ext4-inline ]; then
        cat >> changes <<C
write /dev/null never
fallocate never 0 9
sif never size $((block * 10 - 240))
write /dev/null hole
sif hole size 5000000
C
    fi
    rm -f image
    cp -a tree this
    if [ "$extra" = deep ]; then
        mkdir -p "this/$(printf 'd/%.0s' $(seq 1 300))"
        find this/d -exec touch -d @1600000000 {} +
    fi
    if [ "$extra" = comb ]; then
        i=0
        while [ $i -lt 1400 ]; do
            printf 'block %s' $i | dd of=this/comb bs=$block seek=$i conv=notrunc status=none
            i=$((i + 2))
        done
        touch -d @1600000000 this/comb
    fi
    # shellcheck disable=SC2086
    mke2fs -q -F -b $block -o Linux -U 01234567-89ab-cdef-0123-456789abcdef -E hash_seed=fedcba98-7654-3210-fedc-ba9876543210,root_owner=0:0 \
        -L "$name" $options -d this image "$size"
    rm -rf this
    debugfs -w -f changes image > debugfs.out 2>&1
    # Directories get their indexes.
    e2fsck -f -y -D image > e2fsck.out 2>&1 || [ $? = 1 ]
    e2fsck -f -n image > e2fsck.out 2>&1 || { cat e2fsck.out; exit 1; }
    gzip -9 -n < image > "$here/$name.gz"
}

common=sparse_super,large_file,dir_index,ext_attr
new=$common,filetype,extent,huge_file,dir_nlink,extra_isize,flex_bg
make ext2 2M 1024 "-I 128 -N 700 -O none,$common" deep
make ext3 6M 2048 "-I 256 -N 400 -J size=2 -O none,$common,filetype,has_journal" ""
make ext4 4M 1024 "-I 256 -N 400 -O none,$new,metadata_csum,64bit" comb
make ext4-old 8M 4096 "-I 128 -N 400 -O none,$new,uninit_bg" comb
make ext4-inline 9M 1024 "-g 256 -I 256 -N 1152 -O none,$new,inline_data,metadata_csum,metadata_csum_seed,64bit,meta_bg" comb
