package crashvfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A step is one thing done to a disk: a word, a file's name and what else the
// word needs.
type step struct {
	verb, name, data string
	at               int64
}

func play(steps []step) *State {
	s := newState()
	files := map[string]*file{}
	for _, x := range steps {
		switch x.verb {
		case "create":
			files[x.name] = &file{}
			s.create(x.name, files[x.name])
		case "write":
			s.write(files[x.name], x.at, []byte(x.data))
		case "truncate":
			s.truncate(files[x.name], x.at)
		case "sync":
			s.sync(files[x.name])
		case "remove":
			s.remove(x.name, false)
		case "remove and sync":
			s.remove(x.name, true)
		}
	}
	return s
}

func TestAPowerCutLeavesWhatWasSyncedAndMayLeaveTheRest(t *testing.T) {
	create, sync := step{verb: "create", name: "f"}, step{verb: "sync", name: "f"}
	write := func(data string, at int64) step { return step{verb: "write", name: "f", data: data, at: at} }
	for _, c := range []struct {
		name       string
		steps      []step
		lost, kept map[string]string
	}{
		{"nothing happened", nil, map[string]string{}, map[string]string{}},
		{"a name that was not synced", []step{create, write("ab", 0)},
			map[string]string{}, map[string]string{"f": "ab"}},
		{"a write that was synced", []step{create, write("ab", 0), sync},
			map[string]string{"f": "ab"}, map[string]string{"f": "ab"}},
		{"a write over one that was synced", []step{create, write("abc", 0), sync, write("X", 1)},
			map[string]string{"f": "abc"}, map[string]string{"f": "aXc"}},
		{"a write past the end leaves zeros before it", []step{create, sync, write("z", 2)},
			map[string]string{"f": ""}, map[string]string{"f": "\x00\x00z"}},
		{"a truncation", []step{create, write("abc", 0), sync, {verb: "truncate", name: "f", at: 1}},
			map[string]string{"f": "abc"}, map[string]string{"f": "a"}},
		{"a file cut and grown has zeros where it was cut", []step{create, write("abc", 0), {verb: "truncate", name: "f", at: 1}, write("z", 3), sync},
			map[string]string{"f": "a\x00\x00z"}, map[string]string{"f": "a\x00\x00z"}},
		{"a removal", []step{create, write("abc", 0), sync, {verb: "remove", name: "f"}},
			map[string]string{"f": "abc"}, map[string]string{}},
		{"a removal with its directory", []step{create, write("abc", 0), sync, {verb: "remove and sync", name: "f"}},
			map[string]string{}, map[string]string{}},
		{"names are synced with any file", []step{create, {verb: "create", name: "g"}, sync},
			map[string]string{"f": "", "g": ""}, map[string]string{"f": "", "g": ""}},
		{"contents are not", []step{{verb: "create", name: "g"}, {verb: "write", name: "g", data: "ab"}, create, sync},
			map[string]string{"f": "", "g": ""}, map[string]string{"f": "", "g": "ab"}},
		{"a new file under an old name", []step{create, write("old", 0), sync, {verb: "remove", name: "f"}, create, write("new", 0)},
			map[string]string{"f": "old"}, map[string]string{"f": "new"}},
		{"a name that is not there is not removed", []step{{verb: "remove", name: "f"}},
			map[string]string{}, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(c.steps)
			r := rand.New(rand.NewPCG(1, 1))
			for _, x := range []struct {
				damage Damage
				want   map[string]string
			}{{Lost, c.lost}, {Kept, c.kept}, {Lost, c.lost}} {
				if diff := cmp.Diff(x.want, text(s.Cut(x.damage, r))); diff != "" {
					t.Errorf("%v (-want +got):\n%s", x.damage, diff)
				}
			}
		})
	}
}

func text(i Image) map[string]string {
	m := map[string]string{}
	for name, content := range i {
		m[name] = string(content)
	}
	return m
}

// TestATornDiskIsInOrderUpToTheTear cuts three writes of which each is one
// sector in a file of its own kind, and collects what can be left.
func TestATornDiskIsInOrderUpToTheTear(t *testing.T) {
	s := play([]step{
		{verb: "create", name: "f"}, {verb: "create", name: "g"}, {verb: "sync", name: "f"},
		{verb: "write", name: "f", data: "1"},
		{verb: "write", name: "g", data: "2"},
		{verb: "write", name: "f", data: "3", at: 1},
	})
	want := []string{"f= g=", "f=1 g=", "f=1 g=2", "f=13 g=2"}
	if diff := cmp.Diff(want, outcomes(s, Torn)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all := []string{"f= g=", "f= g=2", "f=1 g=", "f=1 g=2", "f=13 g=", "f=13 g=2", "f=\x003 g=", "f=\x003 g=2"}
	slices.Sort(all)
	if diff := cmp.Diff(all, outcomes(s, Scattered)); diff != "" {
		t.Errorf("scattered (-want +got):\n%s", diff)
	}
}

func outcomes(s *State, d Damage) []string {
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	for range 1000 {
		i := s.Cut(d, r)
		seen["f="+string(i["f"])+" g="+string(i["g"])] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestNamesReachTheDiskInOrder(t *testing.T) {
	s := play([]step{
		{verb: "create", name: "f"}, {verb: "sync", name: "f"},
		{verb: "create", name: "g"}, {verb: "remove", name: "f"}, {verb: "create", name: "h"},
	})
	for _, d := range []Damage{Torn, Scattered, Garbled} {
		r := rand.New(rand.NewPCG(1, 1))
		seen := map[string]bool{}
		for range 1000 {
			seen[strings.Join(slices.Sorted(maps.Keys(s.Cut(d, r))), " ")] = true
		}
		delete(seen, "g h") // all of them: torn never gets that far
		if diff := cmp.Diff([]string{"f", "f g", "g"}, slices.Sorted(maps.Keys(seen))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", d, diff)
		}
	}
}

// TestATornWriteKeepsToItsSectors writes across three sectors, beginning and
// ending within one.
func TestATornWriteKeepsToItsSectors(t *testing.T) {
	const size, at = 4 * Sector, 100
	s := play([]step{
		{verb: "create", name: "f"}, {verb: "write", name: "f", data: strings.Repeat("o", size)}, {verb: "sync", name: "f"},
		{verb: "write", name: "f", data: strings.Repeat("n", 2*Sector), at: at},
	})
	for _, d := range []Damage{Torn, Scattered, Garbled} {
		r := rand.New(rand.NewPCG(1, 1))
		old, new, other := 0, 0, 0
		for range 300 {
			content := s.Cut(d, r)["f"]
			if len(content) != size || strings.Trim(string(content[:at])+string(content[at+2*Sector:]), "o") != "" {
				t.Fatalf("%v: octets beside the write have changed", d)
			}
			for _, part := range [][]byte{content[at:Sector], content[Sector : 2*Sector], content[2*Sector : at+2*Sector]} {
				switch {
				case uniform(part, 'o'):
					old++
				case uniform(part, 'n'):
					new++
				default:
					other++
				}
			}
		}
		if old == 0 || new == 0 || (other > 0) != (d == Garbled) {
			t.Errorf("%v: %d parts old, %d new, %d neither", d, old, new, other)
		}
	}
}

func uniform(b []byte, c byte) bool { return len(bytes.Trim(b, string(c))) == 0 }

func TestPendingCountsWhatAPowerCutMayUndo(t *testing.T) {
	s := play([]step{
		{verb: "create", name: "f"}, {verb: "sync", name: "f"},
		{verb: "create", name: "g"}, {verb: "write", name: "g", data: "x"}, {verb: "truncate", name: "f"},
	})
	if got := s.Pending(); got != 3 {
		t.Errorf("%d pending, want 3", got)
	}
	if got := play([]step{{verb: "create", name: "f"}, {verb: "sync", name: "f"}}).Pending(); got != 0 {
		t.Errorf("%d pending after a sync, want 0", got)
	}
}
