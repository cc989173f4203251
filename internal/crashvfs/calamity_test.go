//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/internal/crashvfs"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var stride = flag.Int("stride", 25, "how many writes of a scenario there are between two that fail; 1: each does once. Of other operations each does")

const (
	usableAgain = 5 * time.Second // how long mail may be refused, or not tried, because of one fault
	endOfAll    = time.Hour       // how long until a lease that nobody knows of has ended
)

// A scenario is what happens to a queue while its disk fails.
type scenario struct {
	name   string
	log    int64                                 // octets; 0: of the usual size
	mail   []int                                 // lines of each message
	change func(*queue.Queue, queue.Match) error // what a person does in the middle of it
}

var scenarios = []scenario{
	{name: "mail", mail: []int{1, 1, 20, 1, 1, 20, 1, 1}},
	{name: "large mail and checkpoints", log: 20 * 4096, mail: []int{2500, 1, 5000, 1}},
	{name: "changes", mail: []int{1, 1, 1, 1, 1}, change: func(q *queue.Queue, m queue.Match) error {
		for _, f := range []func(context.Context, queue.Match) (int, error){q.Hold, q.Release, q.Retry} {
			if _, err := f(context.Background(), m); err != nil {
				return err
			}
		}
		return nil
	}},
}

// TestAFailedWriteIsNeverA250 has every so many an operation of a busy queue fail
// once, in each way, and looks whether the queue lost anything, did anything
// twice, or stayed out of order. A queue that does not look at the error of COMMIT
// must be found out.
func TestAFailedWriteIsNeverA250(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			total := tally{}
			for _, f := range []crashvfs.Fault{crashvfs.IOError, crashvfs.Full, crashvfs.Partly} {
				total.everywhere(t, mishap{scenario: s, fault: f}, 1)
				total.everywhere(t, mishap{scenario: s, fault: f, writes: true}, *stride)
			}
			t.Logf("faults: scenario=%q stride=%d %v", s.name, *stride, &total)
			for _, p := range total.problems {
				t.Error(p)
			}
			careless := tally{}
			careless.everywhere(t, mishap{scenario: s, fault: crashvfs.IOError, careless: true}, 1)
			t.Logf("faults: scenario=%q stride=%d control=careless %v", s.name, *stride, &careless)
			if len(careless.problems) == 0 {
				t.Error("a queue that does not look at the error of COMMIT was not found out")
			}
		})
	}
}

// A tally counts over many runs.
type tally struct {
	positions, accepted, refused, lost int
	operations                         map[crashvfs.Op]int // that failed
	longest                            time.Duration       // without service
	problems                           []string
}

func (x *tally) String() string {
	return fmt.Sprintf("positions=%d operations=%v accepted=%d refused=%d lost=%d longest=%v problems=%d",
		x.positions, x.operations, x.accepted, x.refused, x.lost, x.longest, len(x.problems))
}

// everywhere runs a scenario with one operation after the other failing, until it ends
// before its turn or, of a careless queue, something was found.
func (x *tally) everywhere(t *testing.T, m mishap, step int) {
	if testing.Short() && !m.careless {
		step *= 5
	}
	for at := 1 + step/2; ; at += step {
		c := calamity{mishap: m, left: at, ledger: &ledger{}, chance: rand.New(rand.NewPCG(1, uint64(at)))}
		synctest.Test(t, func(t *testing.T) {
			c.T = t
			c.run()
		})
		if c.failed.IsZero() || c.careless && len(x.problems) > 0 {
			return
		}
		x.positions++
		if x.operations == nil {
			x.operations = map[crashvfs.Op]int{}
		}
		x.operations[c.op]++
		x.accepted += c.accepted
		x.refused += c.refused
		x.lost += c.lost
		x.longest = max(x.longest, c.longest)
		for _, p := range c.problems {
			x.problems = append(x.problems, fmt.Sprintf("operation %d (%v) fails with %v: %s", at, c.op, c.fault, p))
		}
	}
}

// A mishap is that one operation fails in a scenario.
type mishap struct {
	scenario
	fault    crashvfs.Fault
	writes   bool // a write fails; otherwise something else
	careless bool // the queue; and nothing fails before it is open
}

// A calamity is one run of it.
type calamity struct {
	*testing.T
	mishap
	left int // operations of the kind until the one that fails
	*ledger
	chance *rand.Rand

	disk    *crashvfs.Disk
	dir     string
	q       *queue.Queue
	numbers atomic.Int64
	images  int

	mu                      sync.Mutex
	op                      crashvfs.Op // that failed
	failed                  time.Time   // when; zero: not
	accepted, refused, lost int
	longest                 time.Duration
	problems                []string
}

func (c *calamity) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// run makes everything happen in virtual time.
func (c *calamity) run() {
	c.dir = scratch(c.T)
	c.disk = mount(c.T, func(*crashvfs.State) {})
	db := driverOn{disk: c.disk, careless: c.careless}.open(c.T, filepath.Join(c.dir, "queue.db"))
	run(c.T, db, `PRAGMA auto_vacuum = INCREMENTAL`, `PRAGMA journal_mode = WAL`)
	if !c.careless {
		c.disk.Fail(c.next)
	}
	o := options(nil)
	o.CommitDelay = -1 // all that is due at an instant is done then
	o.LogSize = c.log
	o.Log = slog.New(panics{c.problem})
	c.insist("open", func() (err error) {
		c.q, err = queue.New(context.Background(), db, o)
		return err
	})
	if c.q == nil {
		return
	}
	c.disk.Fail(c.next)
	c.live()
	if err := c.q.Close(); err != nil && c.failed.IsZero() {
		c.problem("close: %v", err)
	}
	c.judge()
}

// next is asked before each operation.
func (c *calamity) next(op crashvfs.Op) crashvfs.Fault {
	if c.writes != (op == crashvfs.Write) {
		return crashvfs.NoFault
	}
	if c.left--; c.left != 0 {
		return crashvfs.NoFault
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.op, c.failed = op, time.Now()
	return c.fault
}

// live submits and delivers until nothing is left to do.
func (c *calamity) live() {
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		c.insist("run", func() error { return c.q.Run(ctx, transport.Func(c.deliver)) })
	})
	for _, lines := range c.mail {
		all.Go(func() { c.submit(lines) })
	}
	synctest.Wait()
	c.insist("age", func() error { return age(c.q) })
	if c.change != nil {
		c.insist("change", func() error { return c.change(c.q, queue.Match{All: true}) })
	}
	time.Sleep(2 * usableAgain)
	probe := c.submit(1)
	time.Sleep(usableAgain)
	if r := records(c.soFar())[probe]; r != nil && !r.tried() {
		c.problem("mail that came in %v after the fault was not tried within %v", time.Since(c.failed), usableAgain)
	}
	c.empty()
	time.Sleep(time.Minute)
	c.insist("look for what is left", func() error { return c.q.View(context.Background(), nothingLeft) })
	end()
	all.Wait()
}

// nothingLeft is an error if messages that are over have not been removed.
func nothingLeft(tx *sql.Tx) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM panelmail_settled`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d messages that are over", n)
	}
	return err
}

// insist does something until it works, which must not take long.
func (c *calamity) insist(what string, do func() error) {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		took := time.Since(begun)
		c.mu.Lock()
		c.longest = max(c.longest, took)
		c.mu.Unlock()
		err := do()
		if err == nil {
			return
		}
		if took > usableAgain {
			c.problem("%s: after %v still: %v", what, took, err)
			return
		}
	}
}

// submit hands a message in as a client does that gets 451: again, and as another
// one, for the first may have been stored.
func (c *calamity) submit(lines int) (id string) {
	c.insist("enqueue", func() error {
		m := newSample(int(c.numbers.Add(1)), rand.New(rand.NewPCG(uint64(lines), 1)))
		m.body = "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", lines) + ".end\r\n"
		c.add(fact{kind: offered, id: m.id, message: m})
		_, err := c.q.Enqueue(context.Background(), m.queued(), strings.NewReader(m.body))
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.refused++
			return err
		}
		c.accepted++
		id = m.id
		c.add(fact{kind: accepted, id: m.id})
		return nil
	})
	c.mu.Lock()
	soon := !c.failed.IsZero() && c.images < 2
	if soon {
		c.images++
	}
	c.mu.Unlock()
	if soon {
		c.judge()
	}
	return id
}

// deliver does to each recipient what its address asks for.
func (c *calamity) deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	w := workload{ledger: c.ledger}
	return w.deliver(ctx, d)
}

// empty waits until the queue has nothing left to do, and releases what was held.
func (c *calamity) empty() {
	begun := time.Now()
	for wait := time.Second; ; wait *= 2 {
		n := 0
		for e, err := range c.q.Entries(context.Background(), queue.Match{All: true}) {
			if err == nil && len(e.Recipients) > 0 {
				n++
			}
		}
		if n == 0 {
			return
		}
		if time.Since(begun) > endOfAll {
			c.problem("%d messages are still in the queue", n)
			return
		}
		_, _ = c.q.Release(context.Background(), queue.Match{All: true})
		time.Sleep(wait)
	}
}

// judge compares what a power cut would leave now with what the world knows.
func (c *calamity) judge() {
	var facts []fact
	var image crashvfs.Image
	c.disk.Still(func(s *crashvfs.State) { facts, image = c.soFar(), s.Cut(crashvfs.Lost, c.chance) })
	dir := scratch(c.T)
	if err := image.WriteTo(dir); err != nil {
		c.Error(err)
		return
	}
	v := judge(context.Background(), dir, facts, false)
	c.mu.Lock()
	c.lost += len(v.lost)
	c.mu.Unlock()
	for _, lines := range [][]string{v.corrupt, v.lost, v.undone, v.forgotten} {
		if len(lines) > 0 {
			c.problem("%d after a power cut, the first: %s", len(lines), lines[0])
		}
	}
	seen := map[string]int{}
	for _, f := range facts {
		if f.kind == reported && f.outcome.Final() {
			if seen[f.id+" to "+f.recipient]++; seen[f.id+" to "+f.recipient] == 2 {
				c.problem("%s to %s was settled twice", f.id, f.recipient)
			}
		}
	}
}

// panics is a log in which only panics are of interest.
type panics struct {
	problem func(string, ...any)
}

func (panics) Enabled(context.Context, slog.Level) bool { return true }
func (p panics) WithAttrs([]slog.Attr) slog.Handler     { return p }
func (p panics) WithGroup(string) slog.Handler          { return p }
func (p panics) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panicked") {
		p.problem("%s", r.Message)
	}
	return nil
}
