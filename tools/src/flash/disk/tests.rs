//! Judgment, on disks that do not exist.

use tempfile::TempDir;

use super::*;

/// A made-up machine: a built-in disk with the system on it and swap, a second one with an encrypted volume for `/home`, a
/// stick that is mounted, a card in a reader, one in a slot, an empty reader, a chip, a card with its lock set.
struct Machine {
    root: TempDir,
    system: System,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let number_of = |path: &Path| fs::read_to_string(path).map(|text| Some(text.trim().to_owned()));
        let system = System { sys: root.path().join("sys"), proc: root.path().join("proc"), number_of };
        let machine = Self { root, system };
        machine
            .disk("nvme0n1", &[("removable", "0"), ("size", "1000000"), ("dev", "259:0"), ("device/model", "Fast ")]);
        machine.partition("nvme0n1", "nvme0n1p1", "259:1");
        machine.partition("nvme0n1", "nvme0n1p2", "259:2");
        machine.disk("sda", &[("removable", "0"), ("size", "1000000"), ("dev", "8:0")]);
        machine.partition("sda", "sda1", "8:1");
        machine.file("sys/class/block/sda/sda1/holders/dm-0/dev", "253:0");
        machine.file("sys/class/block/dm-0/dev", "253:0");
        machine.disk("sdb", &[("removable", "1"), ("size", "60000"), ("dev", "8:16"), ("device/vendor", "Stick")]);
        machine.partition("sdb", "sdb1", "8:17");
        let reader = [("device/vendor", "Generic-"), ("device/model", "SD/MMC          ")];
        machine.disk("sdc", &[&[("removable", "1"), ("size", "62333952"), ("dev", "8:32")][..], &reader].concat());
        machine.partition("sdc", "sdc1", "8:33");
        machine.disk("sdd", &[("removable", "1"), ("size", "0"), ("dev", "8:48")]);
        let slot = [("removable", "0"), ("size", "62333952"), ("dev", "179:0"), ("device/name", "SU32G")];
        machine.disk("mmcblk0", &[&slot[..], &[("device/type", "SD")]].concat());
        machine.disk("mmcblk1", &[("removable", "0"), ("size", "100"), ("dev", "179:8"), ("device/type", "MMC")]);
        machine.disk("sde", &[("removable", "1"), ("size", "100"), ("dev", "8:64"), ("ro", "1")]);
        machine.file(
            "proc/self/mountinfo",
            "22 1 0:21 / / rw,relatime shared:1 - btrfs /dev/nvme0n1p1 rw,subvol=/@\n\
             23 22 0:5 / /proc rw - proc proc rw\n\
             24 22 253:0 / /home rw - ext4 /dev/mapper/home rw\n\
             25 22 8:17 / /media/user/a\\040stick rw,nosuid - vfat /dev/sdb1 rw\n",
        );
        machine.file("proc/swaps", "Filename Type Size Used Priority\n/dev/nvme0n1p2 partition 8388604 0 -2\n");
        machine
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn disk(&self, name: &str, attributes: &[(&str, &str)]) {
        let number = attributes.iter().find(|(attribute, _)| *attribute == "dev").unwrap();
        self.file(&format!("dev/{name}"), number.1);
        for (attribute, value) in [("ro", "0")].iter().chain(attributes) {
            self.file(&format!("sys/class/block/{name}/{attribute}"), value);
        }
    }

    /// In its disk's directory, and beside it, as a link shows it in `/sys`.
    fn partition(&self, disk: &str, name: &str, number: &str) {
        self.file(&format!("dev/{name}"), number);
        for place in [format!("{disk}/{name}"), name.to_owned()] {
            self.file(&format!("sys/class/block/{place}/partition"), "1");
            self.file(&format!("sys/class/block/{place}/dev"), number);
        }
        if name == "sda1" {
            self.file(&format!("sys/class/block/{name}/holders/dm-0/dev"), "253:0");
        }
    }

    fn examine(&self, name: &str) -> anyhow::Result<Disk> {
        self.system.examine(&self.root.path().join("dev").join(name))
    }

    fn objections(&self, name: &str) -> Vec<Objection> {
        self.examine(name).unwrap().objections
    }
}

#[test]
fn nothing_speaks_against_a_card_in_a_reader_or_in_a_slot() {
    let machine = Machine::new();
    let card = machine.examine("sdc").unwrap();
    assert_eq!((card.model.as_str(), card.size, card.objections), ("Generic- SD/MMC", 62_333_952 * 512, vec![]));
    let card = machine.examine("mmcblk0").unwrap();
    assert_eq!((card.model.as_str(), card.objections), ("SU32G", vec![]));
}

#[test]
fn a_link_to_a_disk_is_that_disk() {
    let machine = Machine::new();
    let dev = machine.root.path().join("dev");
    std::os::unix::fs::symlink("sdc", dev.join("by-id")).unwrap();
    assert_eq!(machine.examine("by-id").unwrap().name, "sdc");
}

#[test]
fn the_systems_disk_is_known_by_its_mounts_even_where_a_file_system_has_a_number_of_its_own() {
    let objections = Machine::new().objections("nvme0n1");
    assert_eq!(objections, [Objection::System("/".into()), Objection::Swap, Objection::NotRemovable]);
}

#[test]
fn what_is_built_upon_a_disk_counts_with_it() {
    let objections = Machine::new().objections("sda");
    assert_eq!(
        objections,
        [Objection::System("/home".into()), Objection::Held("dm-0".into()), Objection::NotRemovable]
    );
}

#[test]
fn what_is_mounted_by_way_of_a_loop_device_counts_too() {
    let machine = Machine::new();
    machine.file("sys/class/block/loop3/loop/backing_file", "/dev/sdc1");
    machine.file("sys/class/block/loop3/dev", "7:3");
    machine.file("sys/class/block/loop4/loop/backing_file", "/dev/sdc10");
    assert_eq!(machine.objections("sdc"), [Objection::Held("loop3".into())]);
    machine.file("proc/self/mountinfo", "25 22 7:3 / /mnt rw - vfat /dev/loop3 rw");
    assert_eq!(machine.objections("sdc"), [Objection::Mounted("/mnt".into()), Objection::Held("loop3".into())]);
}

#[test]
fn a_file_that_is_called_as_a_disk_is_none() {
    let machine = Machine::new();
    // Another number, and none at all.
    for number in ["8:99", ""] {
        machine.file("dev/sdc", number);
        let error = machine.examine("sdc").unwrap_err().to_string();
        assert!(error.contains("is no disk"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(block_number(directory.path()).unwrap(), None);
    assert_eq!(block_number(Path::new("/dev/null")).unwrap(), None);
    assert!(block_number(&directory.path().join("none")).is_err());
}

#[test]
fn a_stick_that_is_mounted_is_refused_with_the_place() {
    let objections = Machine::new().objections("sdb");
    assert_eq!(objections, [Objection::Mounted("/media/user/a\\040stick".into())]);
    assert!(objections[0].to_string().contains("unmount"));
}

#[test]
fn a_chip_that_is_soldered_on_is_no_card() {
    assert_eq!(Machine::new().objections("mmcblk1"), [Objection::NotRemovable]);
}

#[test]
fn what_cannot_be_written_is_an_error_that_says_why() {
    let machine = Machine::new();
    machine.file("dev/null", "");
    for (name, why) in
        [("sdc1", "is a partition"), ("sdd", "no card"), ("sde", "lock"), ("null", "is no disk"), ("sdz", "no ")]
    {
        let error = machine.examine(name).unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
}
