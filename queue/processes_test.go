package queue_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var operations = flag.Int("operations", 2000, "how many changes another process makes to a queue that is run")

// pathVariable makes the test below the process that runs the queue.
const pathVariable = "PANELMAIL_TEST_PATH"

// TestTwoProcessesShareAQueue has one process deliver, and this one change the
// queue as a command line would, for some thousand operations.
func TestTwoProcessesShareAQueue(t *testing.T) {
	if path := os.Getenv(pathVariable); path != "" {
		deliverTo(t, path, os.Stdout)
		return
	}
	if testing.Short() {
		t.Skip("drives another process; not with -short")
	}
	const seed = 1
	path := newPath(t)
	var told atomic.Int64
	q := open(t, path, queue.Options{MinFree: -1})
	defer q.Close()
	server := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	server.Env = append(os.Environ(), pathVariable+"="+path)
	in, err := server.StdinPipe() // its end ends the process
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	delivered := map[string]int{}
	var reader sync.WaitGroup
	reader.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if address, ok := strings.CutPrefix(lines.Text(), "delivered "); ok {
				delivered[address]++
				told.Add(1)
			}
		}
	})
	p := &person{q: q, chance: rand.New(rand.NewPCG(seed, 1)), removed: map[string]bool{}}
	for range *operations {
		if err := p.act(t.Context()); err != nil {
			t.Errorf("%s: %v", p.doing, err)
		}
	}
	if _, err := q.Release(t.Context(), queue.Match{All: true}); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); len(ids(t, q)) > 0 && time.Now().Before(deadline); {
		if _, err := q.Retry(t.Context(), queue.Match{All: true}); err != nil {
			t.Error(err)
		}
	}
	_ = in.Close()
	if err := server.Wait(); err != nil {
		t.Errorf("the other process: %v", err)
	}
	reader.Wait()
	lost, twice := 0, 0
	for _, address := range p.sent {
		switch n := delivered[address]; {
		case n == 0 && !p.removed[address]:
			lost++
		case n > 1:
			twice++
		}
	}
	t.Logf("processes: seed=%d operations=%d enqueued=%d removed=%d delivered=%d lost=%d twice=%d left=%d",
		seed, *operations, len(p.sent), len(p.removed), told.Load(), lost, twice, len(ids(t, q)))
	if lost+twice > 0 || len(ids(t, q)) > 0 || len(p.sent) < *operations/5 || len(p.removed) == 0 {
		t.Error("see above")
	}
}

// deliverTo runs the queue until the standard input ends, and writes down what was
// delivered. Every third attempt is deferred.
func deliverTo(t *testing.T, path string, w io.Writer) {
	q := open(t, path, queue.Options{MinFree: -1, Poll: 10 * time.Millisecond, BackoffMin: 50 * time.Millisecond, BackoffMax: 100 * time.Millisecond})
	defer q.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	var mu sync.Mutex
	attempts := 0
	err := q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		mu.Lock()
		defer mu.Unlock()
		if attempts++; attempts%3 == 0 {
			return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "later")})
		}
		for _, r := range d.Envelope.Recipients {
			fmt.Fprintln(w, "delivered", r.Address)
		}
		return d.All(delivered)
	}))
	if err != nil {
		t.Error(err)
	}
}

// A person changes the queue from outside.
type person struct {
	q       *queue.Queue
	chance  *rand.Rand
	sent    []string // addresses, of one message each
	removed map[string]bool
	doing   string
}

// act does something, mostly to a message that came lately.
func (p *person) act(ctx context.Context) (err error) {
	if len(p.sent) == 0 || p.chance.IntN(3) == 0 {
		p.doing = "enqueue"
		address := fmt.Sprintf("m%d@d%d.test", len(p.sent), len(p.sent)%7)
		m := message(address)
		if p.chance.IntN(4) == 0 {
			m.Hold = "to be looked at"
		}
		_, err := p.q.Enqueue(ctx, m, strings.NewReader("\r\n"))
		p.sent = append(p.sent, address)
		return err
	}
	address := p.sent[len(p.sent)-1-p.chance.IntN(min(len(p.sent), 10))]
	match := queue.Match{Recipient: address}
	switch n := 0; p.chance.IntN(9) {
	case 0, 1:
		p.doing = "hold"
		_, err = p.q.Hold(ctx, match)
	case 2, 3, 4:
		p.doing = "release"
		_, err = p.q.Release(ctx, match)
	case 5, 6:
		p.doing = "retry"
		_, err = p.q.Retry(ctx, match)
	case 7:
		p.doing = "requeue"
		_, err = p.q.Requeue(ctx, match)
	default:
		p.doing = "remove"
		if n, err = p.q.Remove(ctx, match); n > 0 {
			p.removed[address] = true
		}
	}
	return err
}
