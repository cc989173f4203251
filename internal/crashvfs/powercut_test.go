//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/crashvfs"
)

var (
	seed   = flag.Uint64("seed", 1, "of the messages, the instants and the damage; goroutines keep their own time")
	images = flag.Int("images", 600, "how many power cuts to try with the queue's own settings, and some with others")
)

const (
	perRound = 150 // images cut from the life of one queue
	perPoint = 3   // images cut at one instant
	drained  = 15  // of so many images one is also run until it is empty
	patience = 2 * time.Minute
)

// TestAQueueLosesNothingToAPowerCut cuts the power of a busy queue at many
// instants. Under other settings than the queue's own it must find losses: if
// not, it finds nothing.
func TestAQueueLosesNothingToAPowerCut(t *testing.T) {
	n := *images
	if testing.Short() {
		n /= 10
	}
	others := min(max(n/5, perRound), 4*perRound)
	// A checkpoint as often as possible: it is the one thing that writes to the
	// database itself.
	const checkpoint = "wal_autocheckpoint = 100"
	for _, c := range []struct {
		setting string
		level   int // of PRAGMA synchronous
		pragmas []string
		images  int
		check   func(t *testing.T, f *findings)
	}{
		{"FULL", 2, nil, n, func(t *testing.T, f *findings) {
			if f.broken() != 0 {
				t.Errorf("%d promises broken by %d images", f.broken(), f.images)
			}
		}},
		{"NORMAL", 1, []string{"synchronous = NORMAL"}, others, func(t *testing.T, f *findings) {
			if f.lost == 0 || f.corrupt != 0 {
				t.Errorf("lost=%d corrupt=%d: what is not synced at a commit must be lost, and nothing else happen", f.lost, f.corrupt)
			}
		}},
		{"OFF", 0, []string{"synchronous = OFF"}, others, func(t *testing.T, f *findings) {
			if f.lost == 0 || f.corrupt == 0 {
				t.Errorf("lost=%d corrupt=%d: without syncs both must happen", f.lost, f.corrupt)
			}
		}},
	} {
		t.Run(c.setting, func(t *testing.T) {
			f := &findings{t: t, setting: c.setting}
			for round := 0; f.images < c.images; round++ {
				f.round(*seed+uint64(round), c.level, min(perRound, c.images-f.images), append([]string{checkpoint}, c.pragmas...))
			}
			t.Log(f)
			c.check(t, f)
		})
	}
}

// findings counts images by what they had broken.
type findings struct {
	t       *testing.T
	setting string

	mu                                           sync.Mutex
	images, shown                                int
	corrupt, lost, undone, forgotten             int // images
	points, changes, unsynced, accepted, repeats int
}

// broken is how many promises were broken, each counted once an image.
func (f *findings) broken() int { return f.corrupt + f.lost + f.undone + f.forgotten }

func (f *findings) anyBroken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken() > 0
}

// String is the result in one line.
func (f *findings) String() string {
	return fmt.Sprintf("powercut: synchronous=%s seed=%d images=%d points=%d changes=%d unsynced=%d accepted=%d "+
		"lost=%d corrupt=%d undone=%d forgotten=%d repeats=%d", f.setting, *seed, f.images, f.points, f.changes, f.unsynced,
		f.accepted, f.lost, f.corrupt, f.undone, f.forgotten, f.repeats)
}

// An exhibit is an image to be judged.
type exhibit struct {
	image crashvfs.Image
	how   string
	facts []fact
	drain bool
}

// round runs one queue and judges the images of it while it goes on.
func (f *findings) round(seed uint64, level, n int, pragmas []string) {
	t, dir := f.t, scratch(f.t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := &plug{chance: rand.New(rand.NewPCG(seed, 1)), ledger: &ledger{}, want: n, exhibits: make(chan exhibit), enough: cancel}
	var judges sync.WaitGroup
	for k := range 2 {
		judges.Go(func() { f.judge(filepath.Join(dir, fmt.Sprint("image", k)), p.exhibits) })
	}
	w := newWorkload(t, p.ledger, mount(t, p.probe), dir, pragmas...)
	if got, err := w.synchronous(ctx); err != nil || got != level {
		t.Fatalf("the queue commits with synchronous=%d (%v), want %d", got, err, level)
	}
	if err := w.run(ctx, seed); err != nil {
		t.Errorf("the workload: %v", err)
	}
	if p.cut < n {
		t.Fatalf("only %d of %d images of a queue were made within %v", p.cut, n, patience)
	}
	close(p.exhibits)
	judges.Wait()
	if err := w.q.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	f.points += p.points
	f.changes += p.changes
	f.unsynced += p.unsynced
	for _, x := range w.soFar() {
		if x.kind == accepted {
			f.accepted++
		}
	}
}

// judge judges exhibits in a directory that it makes and removes for each.
func (f *findings) judge(dir string, exhibits <-chan exhibit) {
	for x := range exhibits {
		if err := errors.Join(os.Mkdir(dir, 0o700), x.image.WriteTo(dir)); err != nil {
			f.t.Error(err)
			continue
		}
		f.note(x, judge(f.t.Context(), dir, x.facts, x.drain && !f.anyBroken()))
		if err := os.RemoveAll(dir); err != nil {
			f.t.Error(err)
		}
	}
}

// note counts a verdict, and shows the first ones that are bad news.
func (f *findings) note(x exhibit, v *verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images++
	f.repeats += v.repeats
	for _, c := range []struct {
		n     *int
		name  string
		lines []string
	}{{&f.corrupt, "corrupt", v.corrupt}, {&f.lost, "lost", v.lost}, {&f.undone, "undone", v.undone}, {&f.forgotten, "forgotten", v.forgotten}} {
		if len(c.lines) == 0 {
			continue
		}
		*c.n++
		if f.shown++; f.shown <= 5 {
			f.t.Logf("%s: %s: %d, the first: %s", x.how, c.name, len(c.lines), c.lines[0])
			f.keep(x)
		}
	}
}

// keep puts an image among the test's artifacts (go test -artifacts): no second
// run will make the same one.
func (f *findings) keep(x exhibit) {
	dir := filepath.Join(f.t.ArtifactDir(), fmt.Sprint("image", f.shown))
	if err := errors.Join(os.Mkdir(dir, 0o700), x.image.WriteTo(dir)); err != nil {
		f.t.Error(err)
	}
}

// A plug is pulled at instants that chance picks, until there are enough images.
// Its probe runs on the queue's own threads: while images wait to be judged the
// queue stands still.
type plug struct {
	chance   *rand.Rand
	ledger   *ledger
	exhibits chan exhibit
	enough   func()

	want, gap                 int
	changes, points, unsynced int
	cut                       int
}

func (p *plug) probe(s *crashvfs.State) {
	if p.cut == p.want {
		return
	}
	p.changes++
	if p.gap--; p.gap > 0 {
		return
	}
	p.gap = 1 + p.chance.IntN(1<<(1+p.chance.IntN(10)))
	p.points++
	p.unsynced += s.Pending()
	facts := p.ledger.soFar()
	for i := range perPoint {
		damage := crashvfs.Lost
		if i > 0 {
			damage = crashvfs.Damage(p.chance.IntN(5))
		}
		p.cut++
		p.exhibits <- exhibit{
			image: s.Cut(damage, p.chance),
			how:   fmt.Sprintf("change %d, %d unsynced, %v", p.changes, s.Pending(), damage),
			facts: facts,
			drain: p.cut%drained == 0,
		}
		if p.cut == p.want {
			p.enough()
			return
		}
	}
}

// scratch is a directory in memory where there is one: what counts here as
// synced is up to the model, and the real thing would only take time.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "powercut")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
