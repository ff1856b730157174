#!/bin/sh
# Makes the images that tests of ext2, ext3 and ext4 read, with the programs of e2fsprogs (1.47), without root. They are in
# the tree, so that the tests need no programs; this says what is in them, and makes them again.
#
#   cd kernel/core/src/fs/tests/ext && sh make-images.sh [NAME...]
set -eu
export LC_ALL=C E2FSPROGS_FAKE_TIME=1700000000 MKE2FS_CONFIG=/dev/null E2FSCK_CONFIG=/dev/null
PATH=$PATH:/sbin:/usr/sbin
here=$PWD
names=" $* "
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

# Whether this one is to be made: each is, where none is named.
is_wanted() { case $names in '  ' | *" $1 "*) ;; *) false ;; esac; }

# Name, size, size of a block, options of mke2fs; and `comb` for a file of which every other block is a hole, or
# `deep` for directories in directories.
make() {
    name=$1 size=$2 block=$3 options=$4 extra=$5
    is_wanted "$name" || return 0
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

# A file system whose newest contents are in its journal: name, options of mke2fs, options of debugfs's journal. What is in its
# places is the tree; two transactions have what came later.
make_journal() {
    name=$1 options=$2 sums=$3
    is_wanted "$name" || return 0
    rm -f image
    mkdir this
    seq 1 4000 > this/numbers
    printf 'hello\n' > this/hello
    printf 'gone\n' > this/gone
    find this -exec touch -d @1600000000 {} +
    # shellcheck disable=SC2086
    mke2fs -q -F -b 1024 -o Linux -U 01234567-89ab-cdef-0123-456789abcdef -E hash_seed=fedcba98-7654-3210-fedc-ba9876543210,root_owner=0:0 \
        -L "$name" -J size=1 -I 256 -N 64 $options -d this image 3M > mke2fs.out 2>&1
    rm -rf this
    # One who did not look at what the second transaction revokes would find it full of `x`. With checksums debugfs makes a wrong
    # one for that.
    revoked=$(debugfs -R 'blocks numbers' image 2> /dev/null | cut -d ' ' -f 3)
    seq 1 1500 > late
    # As each block of the journal begins.
    printf '\300\073\071\230magic' > escaped
    journal "$sums" "write late late
write escaped escaped
rm gone" "$([ -n "$sums" ] || echo "$revoked")"
    printf 'hello, world\n' > hello
    journal "" "rm hello
write hello hello
write escaped again" "" "$([ -n "$sums" ] || echo "$revoked")"
    cp image check
    e2fsck -f -y check > e2fsck.out 2>&1 || [ $? = 1 ]
    e2fsck -f -n check > e2fsck.out 2>&1 || { cat e2fsck.out; exit 1; }
    for file in late escaped again hello numbers; do
        [ $file = numbers ] && seq 1 4000 > numbers
        debugfs -R "cat $file" check 2> /dev/null | cmp - "$([ $file = again ] && echo escaped || echo $file)"
    done
    gzip -9 -n < image > "$here/$name.gz"
}

# Makes a transaction of what commands of debugfs would change, and of a block full of `x`, and one that revokes a block: options
# of the journal, commands, number of that block, number of that to revoke.
journal() {
    cp image step
    # What is in the journal is in its places for the commands.
    e2fsck -f -y step > e2fsck.out 2>&1 || [ $? = 1 ]
    cp step before
    printf '%s\n' "$2" > changes
    debugfs -w -f changes step > debugfs.out 2>&1
    numbers=$(cmp -l before step | awk '{ block = int(($1 - 1) / 1024); if (block != last) print block; last = block }')
    : > blocks
    for number in $numbers; do dd if=step bs=1024 skip="$number" count=1 status=none >> blocks; done
    if [ -n "$3" ]; then
        numbers="$numbers $3"
        printf '%01024d' 0 | tr 0 x >> blocks
    fi
    list=$(echo $numbers | tr ' ' ,)
    {
        echo "jo $1"
        if [ -n "${4-}" ]; then echo "jw -r $4"; fi
        echo "jw -b $list blocks"
        echo jc
    } > changes
    debugfs -w -f changes image > debugfs.out 2>&1
}

make_journal ext3-journal "-O none,$common,filetype,has_journal" ""
make_journal ext4-journal "-O none,$new,has_journal,64bit" "-c"
make_journal ext4-journal-2 "-O none,$new,has_journal,metadata_csum,64bit" "-c -v 2"
make_journal ext4-journal-3 "-O none,$new,has_journal,metadata_csum,64bit" "-c -v 3"
