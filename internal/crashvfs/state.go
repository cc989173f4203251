package crashvfs

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Sector is what a disk writes whole or not at all, in octets.
const Sector = 512

// A State is what a disk has and what it owes, at one instant.
type State struct {
	seen  map[string]*file // by name, as programs see them
	named map[string]*file // by name, as a power cut would leave them at least
	names []naming         // what leads from named to seen, in order
	next  int              // number of the next change
}

// A file is an inode: removing its name leaves it to those who have it open.
type file struct {
	id      int64
	synced  []byte
	pending []change // since the last sync, in order
}

// A change is a write of data at an offset or, without data, a truncation to it.
type change struct {
	number int
	at     int64
	data   []byte
}

// A naming gives a name to a file, or to nothing.
type naming struct {
	number int
	name   string
	file   *file
}

func newState() *State {
	return &State{seen: map[string]*file{}, named: map[string]*file{}}
}

func (s *State) number() int {
	s.next++
	return s.next
}

func (s *State) create(name string, f *file) {
	s.seen[name] = f
	s.names = append(s.names, naming{s.number(), name, f})
}

// remove takes a name away, for good if the directory is synced with it.
func (s *State) remove(name string, synced bool) {
	if s.seen[name] == nil {
		return
	}
	delete(s.seen, name)
	s.names = append(s.names, naming{s.number(), name, nil})
	if synced {
		s.syncNames()
	}
}

func (s *State) write(f *file, at int64, data []byte) {
	if len(data) > 0 {
		f.pending = append(f.pending, change{s.number(), at, data})
	}
}

func (s *State) truncate(f *file, size int64) {
	f.pending = append(f.pending, change{number: s.number(), at: size})
}

func (s *State) sync(f *file) {
	for _, c := range f.pending {
		f.synced = c.apply(f.synced)
	}
	f.pending = nil
	s.syncNames()
}

// drop forgets what was not synced: it will never be.
func (s *State) drop(f *file) { f.pending = nil }

func (s *State) syncNames() {
	s.names = nil
	s.named = maps.Clone(s.seen)
}

// Pending is how many changes a power cut may undo.
func (s *State) Pending() int {
	n := len(s.names)
	for f := range s.files() {
		n += len(f.pending)
	}
	return n
}

// files is every file that a power cut may leave under some name.
func (s *State) files() map[*file]bool {
	all := map[*file]bool{}
	for _, f := range s.named {
		all[f] = true
	}
	for _, n := range s.names {
		if n.file != nil {
			all[n.file] = true
		}
	}
	return all
}

// apply makes the change whole.
func (c change) apply(content []byte) []byte {
	if c.data == nil {
		return resize(content, c.at)
	}
	if end := c.at + int64(len(c.data)); end > int64(len(content)) {
		content = resize(content, end)
	}
	copy(content[c.at:], c.data)
	return content
}

// sectors calls f with each part of the change that lies in one sector.
func (c change) sectors(f func(change)) {
	for data, at := c.data, c.at; len(data) > 0; {
		n := min(int64(len(data)), Sector-at%Sector)
		f(change{c.number, at, data[:n]})
		data, at = data[n:], at+n
	}
}

func resize(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	n := int64(len(content))
	content = slices.Grow(content, int(size-n))[:size]
	clear(content[n:])
	return content
}

// A Damage is a way in which a power cut treats what was not synced.
type Damage int

// The ways, from the orderly to the wild. In the last three chance decides.
const (
	Lost      Damage = iota // nothing of it reached the disk
	Kept                    // all of it did: what the death of a process leaves
	Torn                    // what came first did, up to a write torn in two
	Scattered               // any of it did, write by write and sector by sector
	Garbled                 // and some sectors hold neither the old nor the new
)

var damageNames = [...]string{"lost", "kept", "torn", "scattered", "garbled"}

// String is the name of the damage.
func (d Damage) String() string { return damageNames[d] }

// An Image is what is on the disk after a power cut: file contents by base name.
type Image map[string][]byte

// WriteTo makes the files of the image in a directory, for their owner only.
func (i Image) WriteTo(dir string) error {
	for name, content := range i {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Cut returns what a power cut could leave. It does not change the state.
func (s *State) Cut(d Damage, r *rand.Rand) Image {
	x := cut{damage: d, chance: r, torn: s.someChange(r)}
	names := maps.Clone(s.named)
	for _, n := range s.names[:x.names(s.names)] {
		if names[n.name] = n.file; n.file == nil {
			delete(names, n.name)
		}
	}
	image := Image{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		content := slices.Clone(names[name].synced)
		for _, c := range names[name].pending {
			content = x.apply(content, c)
		}
		image[name] = content
	}
	return image
}

// someChange picks the number of one of the pending changes.
func (s *State) someChange(r *rand.Rand) int {
	var numbers []int
	for _, n := range s.names {
		numbers = append(numbers, n.number)
	}
	for f := range s.files() {
		for _, c := range f.pending {
			numbers = append(numbers, c.number)
		}
	}
	if len(numbers) == 0 {
		return 0
	}
	slices.Sort(numbers)
	return numbers[r.IntN(len(numbers))]
}

// A cut decides what becomes of each change.
type cut struct {
	damage Damage
	chance *rand.Rand
	torn   int // number of the change that Torn tears
}

// names is how many of the namings reached the disk.
func (x *cut) names(all []naming) int {
	switch x.damage {
	case Lost:
		return 0
	case Kept:
		return len(all)
	case Torn:
		n := slices.IndexFunc(all, func(n naming) bool { return n.number >= x.torn })
		if n < 0 {
			n = len(all)
		}
		return n
	}
	return x.chance.IntN(len(all) + 1)
}

func (x *cut) apply(content []byte, c change) []byte {
	switch x.damage {
	case Lost:
		return content
	case Kept:
		return c.apply(content)
	case Torn:
		switch {
		case c.number < x.torn:
			return c.apply(content)
		case c.number > x.torn:
			return content
		}
		return x.tear(content, c)
	}
	switch x.chance.IntN(3) {
	case 0:
		return content
	case 1:
		return c.apply(content)
	}
	return x.tear(content, c)
}

// tear writes some sectors of a change. A truncation happens or does not.
func (x *cut) tear(content []byte, c change) []byte {
	if c.data == nil {
		if x.chance.IntN(2) == 0 {
			return c.apply(content)
		}
		return content
	}
	c.sectors(func(part change) {
		switch x.chance.IntN(3) {
		case 0:
			return
		case 1:
			if x.damage == Garbled {
				part.data = x.garbage(len(part.data))
			}
		}
		content = part.apply(content)
	})
	return content
}

func (x *cut) garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(x.chance.Uint32())
	}
	return b
}
