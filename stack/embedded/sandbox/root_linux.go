package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sharedDirs are the machine's directories that a box sees, where they exist.
var sharedDirs = []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix"}

// memoryLimit bounds the files of a box that live in memory, and /tmp once more.
const memoryLimit = "size=64m"

// rootBuilder composes the root of a box in a tmpfs and keeps the first error. All its paths but
// those on the machine are relative to that tmpfs, its working directory: the options of an
// overlay cannot hold every character of a path.
type rootBuilder struct {
	userns bool
	err    error
}

// enterRoot makes the box's file system the root of this mount namespace, which must be new. The
// mounts are private to it and vanish with it.
func enterRoot(dir, hostname string, userns bool) error {
	b := &rootBuilder{userns: userns}
	scratch := filepath.Join(dir, ".mnt")
	b.mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	b.mount("tmpfs", scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,"+memoryLimit)
	b.do("enter scratch", func() error { return os.Chdir(scratch) })
	b.mkdir("root", 0o755)
	// pivot_root wants a mount point. What lies beside it is out of the box's reach afterwards.
	b.mount("root", "root", "", unix.MS_BIND, "")
	for _, name := range sharedDirs {
		b.share(name)
	}
	b.hostFiles(hostname)
	for _, name := range keptDirs {
		b.mkdir("root/"+name, 0o755)
		b.mount(filepath.Join(dir, name), "root/"+name, "", unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	b.varDirs()
	for _, name := range []string{"run", "mnt", "media", "proc", "dev", "tmp"} {
		b.mkdir("root/"+name, 0o755)
	}
	b.mount("tmpfs", "root/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,"+memoryLimit)
	b.devices()
	b.mount("proc", "root/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	b.do("pivot root", func() error {
		if err := os.Chdir("root"); err != nil {
			return err
		}
		if err := unix.PivotRoot(".", "."); err != nil {
			return err
		}
		// The old root now lies on top of the new one.
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return err
		}
		return os.Chdir("/")
	})
	return b.err
}

func (b *rootBuilder) do(what string, f func() error) {
	if b.err != nil {
		return
	}
	if err := f(); err != nil {
		b.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (b *rootBuilder) mount(source, target, fstype string, flags uintptr, data string) {
	b.do("mount "+target, func() error { return unix.Mount(source, target, fstype, flags, data) })
}

func (b *rootBuilder) mkdir(path string, perm fs.FileMode) {
	b.do("make directory", func() error { return os.MkdirAll(path, perm) })
}

func (b *rootBuilder) symlink(target, path string) {
	b.do("make link", func() error { return os.Symlink(target, path) })
}

// share makes the machine's directory /name visible in the box: writable in memory where overlays
// are allowed, else read-only.
func (b *rootBuilder) share(name string) {
	src, dst := "/"+name, "root/"+name
	fi, err := os.Lstat(src)
	if b.err != nil || err != nil {
		return
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		b.do("copy link", func() error {
			target, err := os.Readlink(src)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		})
		return
	}
	if !fi.IsDir() {
		return
	}
	upper, work := "upper/"+name, "work/"+name
	for _, d := range []string{dst, upper, work} {
		b.mkdir(d, 0o755)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", src, upper, work)
	if b.userns {
		options += ",userxattr"
	}
	b.do("share "+src, func() error {
		overlayErr := unix.Mount("overlay", dst, "overlay", unix.MS_NODEV, options)
		if overlayErr == nil {
			return nil
		}
		if err := unix.Mount(src, dst, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return errors.Join(overlayErr, err)
		}
		return unix.MountSetattr(unix.AT_FDCWD, dst, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	})
}

// hostFiles gives the box its own name in /etc, if /etc can be written.
func (b *rootBuilder) hostFiles(hostname string) {
	if b.err != nil {
		return
	}
	for name, text := range map[string]string{
		"hostname": hostname + "\n",
		"hosts":    "127.0.0.1 localhost " + hostname + "\n::1 localhost\n",
	} {
		file := "root/etc/" + name
		// The machine's may be a link out of /etc, or belong to somebody else.
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		_ = os.WriteFile(file, []byte(text), 0o644)
	}
}

// varDirs makes what programs expect to find in /var. What an earlier life of the box left there
// wins, whatever it is.
func (b *rootBuilder) varDirs() {
	if b.err != nil {
		return
	}
	for _, d := range []string{"log", "lib", "cache", "spool"} {
		_ = os.Mkdir("root/var/"+d, 0o755)
	}
	if os.Mkdir("root/var/tmp", 0o777) == nil {
		_ = os.Chmod("root/var/tmp", 0o777|fs.ModeSticky)
	}
	_ = os.Symlink("/run", "root/var/run")
}

// devices makes /dev: the harmless devices of the machine and the box's own terminals.
func (b *rootBuilder) devices() {
	b.mount("tmpfs", "root/dev", "tmpfs", unix.MS_NOSUID, "mode=755,size=64k")
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		target := "root/dev/" + name
		b.do("make device", func() error { return os.WriteFile(target, nil, 0o644) })
		b.mount("/dev/"+name, target, "", unix.MS_BIND, "")
	}
	b.mkdir("root/dev/pts", 0o755)
	b.mount("devpts", "root/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
	b.mkdir("root/dev/shm", 0o755)
	b.mount("tmpfs", "root/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,"+memoryLimit)
	for path, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		b.symlink(target, "root/dev/"+path)
	}
}

// loopbackUp brings up the one interface of a new network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("name loopback: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	return nil
}
