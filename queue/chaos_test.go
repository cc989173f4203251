package queue_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
)

var (
	chaosSeed  = flag.Uint64("chaos", 1, "the first seed of the random days")
	chaosSeeds = flag.Int("chaosseeds", 2, "how many random days there are")
)

// TestNoRandomDayLosesOrRepeatsMail has producers, a transport, people, programs
// and other processes do what they like for a day, and then everything get well.
func TestNoRandomDayLosesOrRepeatsMail(t *testing.T) {
	n := *chaosSeeds
	if testing.Short() {
		n = 1
	}
	for seed := *chaosSeed; seed < *chaosSeed+uint64(n); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "panel.db")
			synctest.Test(t, func(t *testing.T) {
				c := newChaos(t, path, seed)
				c.open()
				c.start()
				for range 100 {
					time.Sleep(time.Duration(c.dice.exp() * float64(14*time.Minute)))
					c.act()
				}
				c.settle()
				c.close()
			})
		})
	}
}

// dice are a source of chance for many goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) exp() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(d.r.ExpFloat64(), 8)
}

// upTo is a duration below max, most often a short one.
func (d *dice) upTo(max time.Duration) time.Duration {
	f := float64(d.n(1000)) / 1000
	return time.Duration(f * f * f * float64(max))
}

func oneOf[T any](d *dice, all ...T) T { return all[d.n(len(all))] }

// A chaos is a queue among others who use its file.
type chaos struct {
	*testing.T
	dice  *dice
	path  string
	o     queue.Options
	db    *sql.DB
	q     *queue.Queue // the one that is run
	other *queue.Queue // as of another process
	far   *weather
	books *books

	cancel context.CancelFunc
	ended  chan error
	rules  []int64
}

func newChaos(t *testing.T, path string, seed uint64) *chaos {
	d := &dice{r: rand.New(rand.NewPCG(seed, 1))}
	c := &chaos{T: t, dice: d, path: path, books: newBooks()}
	c.far = &weather{t: t, dice: d, books: c.books, lanes: map[string]*climate{}, shapes: d.n(3) > 0}
	c.o = queue.Options{
		Workers: oneOf(d, 1, 2, 10, 200), Concurrency: oneOf(d, 1, 2, 20), RecipientLimit: oneOf(d, 1, 5, 50),
		Poll: oneOf(d, 10*time.Second, time.Minute), HoldUncertain: d.n(4) == 0, DelayWarning: oneOf(d, 0, -1, time.Hour),
		Retention: -1, Grace: oneOf(d, time.Second, 5*time.Minute), MinFree: -1,
	}
	return c
}

func (c *chaos) open() {
	var err error
	if c.db, err = sql.Open("sqlite3", "file:"+c.path+"?_journal_mode=WAL&_busy_timeout=1000&_txlock=immediate"); err != nil {
		c.Fatal(err)
	}
	if _, err = c.db.Exec(`CREATE TABLE IF NOT EXISTS bill (n INTEGER)`); err != nil {
		c.Fatal(err)
	}
	if c.q, err = queue.New(c.Context(), c.db, c.o); err != nil {
		c.Fatal(err)
	}
	o := c.o
	o.Poll = -1
	if c.other, err = queue.New(c.Context(), c.db, o); err != nil {
		c.Fatal(err)
	}
}

func (c *chaos) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.ended = cancel, make(chan error, 1)
	q, far := c.q, c.far.transport()
	go func() { c.ended <- q.Run(ctx, far) }()
}

func (c *chaos) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	if err := <-c.ended; err != nil {
		c.Errorf("run: %v", err)
	}
	c.cancel = nil
}

func (c *chaos) close() {
	c.stop()
	for _, q := range []*queue.Queue{c.other, c.q} {
		if err := q.Close(); err != nil {
			c.Errorf("close: %v", err)
		}
	}
	_ = c.db.Close()
}

// settle has everything get well, and looks whether all mail leaves and the books
// balance.
func (c *chaos) settle() {
	if c.cancel == nil {
		c.start()
	}
	c.far.clear(c.o.Workers > 2 && c.o.Concurrency > 1)
	time.Sleep(65 * time.Minute) // longer than whatever went on
	for range 10 {
		c.disturb()
		time.Sleep(time.Minute)
		c.nothingWaitsFor(45 * time.Second)
	}
	for _, id := range c.rules {
		if err := c.q.DeleteRule(c.Context(), id); err != nil {
			c.Error(err)
		}
	}
	if _, err := c.q.Release(c.Context(), queue.Match{All: true}); err != nil {
		c.Error(err)
	}
	time.Sleep(13 * time.Hour) // longer than whatever is due later
	c.nothingWaitsFor(-time.Hour * 1000)
	c.consistent()
	synctest.Wait()
	if drift := queue.Drift(c.q); len(drift) > 0 {
		c.Errorf("nothing is under way, and there are %s", strings.Join(drift, ", "))
	}
	for _, table := range []string{"message", "recipient", "content", "settled", "upload", "chunk"} {
		if n := count(c.T, c.q, `SELECT count(*) FROM panelmail_`+table); n > 0 {
			c.Errorf("%d rows left of %s", n, table)
		}
	}
	c.balance()
}

// disturb has another process store mail for one lane, and a person change
// something else in the middle of it.
func (c *chaos) disturb() {
	domain := c.dice.n(3)
	for range 30 {
		m := c.message(domain)
		m.NotBefore, m.Hold, m.Envelope.Recipients = time.Time{}, "", m.Envelope.Recipients[:1]
		if id, err := c.other.Enqueue(c.Context(), m, strings.NewReader("\r\n")); err != nil {
			c.Error(err)
		} else {
			c.accept(&m, "\r\n", id)
		}
	}
	c.q.Wake()
	time.Sleep(time.Second)
	if _, err := c.q.Hold(c.Context(), queue.Match{Sender: "nobody@nowhere.test"}); err != nil {
		c.Error(err)
	}
}

// nothingWaitsFor complains of mail that has been due for so long.
func (c *chaos) nothingWaitsFor(d time.Duration) {
	c.Helper()
	for e, err := range c.q.Entries(c.Context(), queue.Match{All: true}) {
		if err != nil {
			c.Fatal(err)
		}
		for _, r := range e.Recipients {
			if r.State == queue.Waiting && time.Since(r.Due) > d {
				c.Errorf("at %v: %s to %s is left: %+v", time.Now(), e.ID, r.Address, r)
			}
		}
	}
}

// consistent checks what must be so after each commit.
func (c *chaos) consistent() {
	c.Helper()
	for what, query := range map[string]string{
		"recipients wait in a lane that is due later": `SELECT count(*) FROM panelmail_recipient AS r
			LEFT JOIN panelmail_lane AS l ON l.id = r.lane WHERE r.state = 0 AND (l.due IS NULL OR l.due > max(r.due, ` + fmt.Sprint(time.Now().UnixMicro()) + `))`,
		"recipients have no lane": `SELECT count(*) FROM panelmail_recipient AS r
			WHERE r.state < 3 AND NOT EXISTS (SELECT 1 FROM panelmail_lane AS l WHERE l.id = r.lane)`,
		"messages have only recipients that are final": `SELECT count(*) FROM panelmail_message AS m
			WHERE NOT EXISTS (SELECT 1 FROM panelmail_recipient AS r WHERE r.message = m.id AND r.state < 3)
			AND m.id NOT IN (SELECT message FROM panelmail_settled)`,
		"recipients or no message are left of what is over": `SELECT count(*) FROM panelmail_settled AS s
			WHERE s.message IN (SELECT message FROM panelmail_recipient) OR s.message NOT IN (SELECT id FROM panelmail_message)`,
		"messages have no content": `SELECT count(*) FROM panelmail_message AS m
			WHERE NOT EXISTS (SELECT 1 FROM panelmail_content AS c WHERE c.message = m.id)`,
	} {
		if n := count(c.T, c.q, query); n > 0 {
			c.Errorf("at %v: %d %s", time.Now(), n, what)
		}
	}
}

// balance compares what was accepted with how it ended.
func (c *chaos) balance() {
	b, seq, queued := c.books, int64(0), 0
	reports := map[string]bool{}
	ends := map[string][]queue.Event{}
	for e, err := range c.q.Events(c.Context(), queue.Trail{}) {
		if err != nil {
			c.Fatal(err)
		}
		if seq++; e.Seq != seq {
			c.Fatalf("event %d has number %d", seq, e.Seq)
		}
		switch {
		case e.Kind == queue.Queued && e.ReversePath == "":
			reports[e.ID] = true
			queued += e.Recipients
		case e.Kind == queue.Queued:
			queued += e.Recipients
			if slices.Contains(b.undone, e.ID) {
				c.Errorf("%s was rolled back, and is told of", e.ID)
			}
		case e.Kind.Final() && e.ReversePath == "":
			queued--
		case e.Kind.Final():
			queued--
			ends[e.Recipient] = append(ends[e.Recipient], e)
		}
	}
	if queued != 0 {
		c.Errorf("%d recipients more were stored than ended", queued)
	}
	for address := range b.accepted {
		switch all := ends[address]; {
		case len(all) != 1:
			c.Errorf("%s ended %d times: %+v", address, len(all), all)
		case all[0].Kind == queue.Delivered != b.taken[address] && all[0].Kind != queue.Removed:
			c.Errorf("%s ended %+v, and it is %t that it was taken", address, all[0], b.taken[address])
		case (all[0].Kind == queue.Failed || all[0].Kind == queue.Expired) && !reports[all[0].Report]:
			c.Errorf("%s ended %+v, and nobody was told", address, all[0])
		}
	}
	c.Logf("%d recipients, %d reports, %d events, options %+v", len(b.accepted), len(reports), seq, c.o)
}
