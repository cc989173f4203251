package interop

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Usage is what a process and all its descendants have used.
type Usage struct {
	CPU       time.Duration // user and system, of ended and reaped descendants too
	PSS       int64         // octets of memory; pages shared by n processes count 1/n for each
	RSS       int64         // octets of memory, shared pages counted by each process
	Anonymous int64         // octets of RSS that are not of files, such as the program's own
	Processes int
}

// tick is the unit of times in /proc/PID/stat; Linux shows 100 a second to
// every program whatever the kernel counts in (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// MeasureTree reads what the process tree of a pid uses now. A child that ends
// while it looks is counted by its parent's share of ended children or not at
// all, so a quiet moment is the right one to ask in.
func MeasureTree(pid int) (Usage, error) {
	var u Usage
	if err := u.process(pid); err != nil {
		return u, err
	}
	all, err := os.ReadDir("/proc")
	if err != nil {
		return u, err
	}
	parents := map[int]int{}
	for _, entry := range all {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if f, err := stat(child); err == nil {
			parents[child], _ = strconv.Atoi(f[1])
		}
	}
	for child := range parents {
		if descends(parents, child, pid) {
			u.process(child) // gone meanwhile: nothing to add
		}
	}
	return u, nil
}

// State is the state letter of a process, 'Z' for one that has ended and was
// not reaped; os.ErrNotExist when it is gone.
func State(pid int) (byte, error) {
	f, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return f[0][0], nil
}

// descends reports whether pid is below root.
func descends(parents map[int]int, pid, root int) bool {
	for pid = parents[pid]; pid > 1; pid = parents[pid] {
		if pid == root {
			return true
		}
	}
	return false
}

// process adds one process.
func (u *Usage) process(pid int) error {
	f, err := stat(pid)
	if err != nil {
		return err
	}
	u.Processes++
	for _, field := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return err
		}
		u.CPU += time.Duration(n) * tick
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return nil // ended, or the kernel has none: time counts all the same
	}
	for line := range bytes.Lines(rollup) {
		f := strings.Fields(string(line))
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Pss:":
			u.PSS += n << 10
		case "Rss:":
			u.RSS += n << 10
		case "Anonymous:":
			u.Anonymous += n << 10
		}
	}
	return nil
}

// stat returns the fields of /proc/PID/stat from the state on. The name before
// them is in parentheses and may hold anything.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	return f, nil
}
