package crash

import (
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sector is what a disk writes whole or not at all, in octets.
const sector = 512

// A Replay pulls the plug at many moments of a recorded run. From a trace of a
// server's system calls it keeps a model of the disk, in which a write is on
// disk when a sync of its file began after it and has ended, and until then
// may be there or not. Names of files count as on disk at once.
type Replay struct {
	// Files are the base names that are followed.
	Files []string

	// Honour says whether a sync of a file does anything, by base name. nil:
	// all do. A disk that honours none is what a program without syncs has.
	Honour func(name string) bool

	// Check examines the files that are left after a power cut, in a directory
	// of its own, and compares them with the queue IDs that were acknowledged
	// until then. What it returns is a broken promise.
	Check func(dir string, acked []string) error

	Seed uint64

	files map[string]*file
	acked []string
}

// A file is what the model knows of one.
type file struct {
	onDisk  []byte
	pending []event        // written and truncated, in order
	syncing map[string]int // by process: how many of pending its sync covers
}

// Cuts is what a replay found.
type Cuts struct {
	Images   int     // moments and ways in which the plug was pulled
	Acked    int     // messages acknowledged in all
	Broken   int     // images that broke a promise
	Problems []error // the first ones
}

// ReplayTrace reads the trace and pulls the plug at each acknowledgement and
// after each sync: once so that nothing survives that was not synced, once so
// that chance decides for each sector.
func (p *Replay) ReplayTrace(trace io.Reader) (Cuts, error) {
	p.files = map[string]*file{}
	p.acked = nil
	r := rand.New(rand.NewPCG(p.Seed, 0))
	var found Cuts
	var t tracer
	err := t.events(trace, func(e event) error {
		if !p.apply(e) {
			return nil
		}
		for _, chance := range []*rand.Rand{nil, r} {
			problem, err := p.cut(chance)
			if err != nil {
				return err
			}
			found.Images++
			if problem == nil {
				continue
			}
			if found.Broken++; len(found.Problems) < 3 {
				found.Problems = append(found.Problems, problem)
			}
		}
		return nil
	})
	found.Acked = len(p.acked)
	return found, err
}

// apply changes the model; true says that this is a moment to pull the plug.
func (p *Replay) apply(e event) bool {
	if e.kind == acknowledged {
		p.acked = append(p.acked, e.reply)
		return true
	}
	name := filepath.Base(e.path)
	if !slices.Contains(p.Files, name) {
		return false
	}
	f := p.files[name]
	if f == nil {
		f = &file{syncing: map[string]int{}}
		p.files[name] = f
	}
	switch e.kind {
	case written, truncated:
		f.pending = append(f.pending, e)
	case unlinked:
		delete(p.files, name)
		return true
	case syncing:
		f.syncing[e.pid] = len(f.pending)
	case synced:
		if p.Honour == nil || p.Honour(name) {
			f.sync(f.syncing[e.pid])
			return true
		}
	}
	return false
}

// sync puts the first n pending changes on disk.
func (f *file) sync(n int) {
	n = min(n, len(f.pending)) // another sync has taken them along
	for _, e := range f.pending[:n] {
		f.onDisk = change(f.onDisk, e, nil)
	}
	f.pending = slices.Clone(f.pending[n:])
	for pid := range f.syncing {
		f.syncing[pid] = max(0, f.syncing[pid]-n)
	}
}

// change applies a write or truncation to content; with chance, to some of its
// sectors only.
func change(content []byte, e event, chance *rand.Rand) []byte {
	end := int(e.off)
	if e.kind == written {
		end += len(e.data)
	}
	if grow := end - len(content); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	if e.kind == truncated {
		return content[:end]
	}
	for from := 0; from < len(e.data); {
		to := min(len(e.data), from+sector-(int(e.off)+from)%sector)
		if chance == nil || chance.IntN(2) == 0 {
			copy(content[int(e.off)+from:], e.data[from:to])
		}
		from = to
	}
	return content
}

// cut writes what a power cut leaves and has it examined.
func (p *Replay) cut(chance *rand.Rand) (problem, err error) {
	dir, err := os.MkdirTemp("", "cut")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		f := p.files[name]
		content := f.onDisk
		if chance != nil {
			content = slices.Clone(content)
			for _, e := range f.pending {
				if chance.IntN(3) > 0 {
					content = change(content, e, chance)
				}
			}
		}
		if len(content) == 0 && strings.HasSuffix(name, "-wal") {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return p.Check(dir, p.acked), nil
}
