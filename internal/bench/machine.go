package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is what the figures were measured on.
type machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	Postfix    string  `json:"postfix"`
	Panelmail  string  `json:"panelmail"`
	FileSystem string  `json:"file_system"`
	Syncs      float64 `json:"fdatasync_per_second"` // appending 4 KiB, one thread
}

// examine describes the machine and the file system of dir.
func examine(ctx context.Context, dir string) (machine, error) {
	m := machine{
		CPU:       field("/proc/cpuinfo", "model name"),
		Cores:     runtime.NumCPU(),
		Go:        runtime.Version(),
		Postfix:   output(ctx, "postconf", "-dh", "mail_version"),
		Panelmail: output(ctx, "git", "describe", "--always", "--dirty"),
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(u.Release[:])
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return m, err
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		m.FileSystem = "ext4"
	case unix.XFS_SUPER_MAGIC:
		m.FileSystem = "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		m.FileSystem = "btrfs"
	case unix.TMPFS_MAGIC:
		m.FileSystem = "tmpfs (keeps nothing: figures mean little, see -dir)"
	default:
		m.FileSystem = fmt.Sprintf("type %#x", s.Type)
	}
	var err error
	m.Syncs, err = syncs(dir)
	return m, err
}

// syncs appends and syncs for half a second and returns the rate.
func syncs(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "syncs"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4*kib)
	start := time.Now()
	n := 0
	for ; time.Since(start) < 500*time.Millisecond; n++ {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// field is the first value of a "name : value" line.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// output is what a program prints, or "" if it cannot.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
