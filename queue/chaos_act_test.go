package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

const (
	chaosSites   = 6
	chaosDomains = 50
)

// act does something, or several things at once.
func (c *chaos) act() {
	switch n := c.dice.n(100); {
	case n < 4:
		c.stop()
		time.Sleep(c.dice.upTo(time.Hour))
		c.start()
	case n < 6:
		c.close()
		c.open()
		c.start()
	case n < 8 && len(c.rules) > 0:
		if err := c.other.DeleteRule(c.Context(), c.rules[0]); err != nil {
			c.Error(err)
		}
		c.rules = c.rules[1:]
	case n < 10:
		c.rule()
	case n < 14:
		age(c.T, c.q)
	case n < 20:
		c.far.change(c.label())
	case n < 30:
		c.consistent()
	default:
		var all sync.WaitGroup
		for range 1 + c.dice.n(3) {
			all.Go(c.once)
		}
		all.Wait()
	}
}

// once does one thing, beside others.
func (c *chaos) once() {
	q := oneOf(c.dice, c.q, c.q, c.q, c.other)
	switch n := c.dice.n(100); {
	case n < 60:
		domain := c.dice.n(chaosDomains)
		for range 1 + c.dice.n(1+c.dice.n(12)) {
			c.enqueue(q, domain)
		}
	case n < 70:
		c.enqueueTx(q)
	case n < 75:
		c.repeat(q)
	default:
		c.change(q)
	}
}

func (c *chaos) label() string { return fmt.Sprintf("/d%d.test", c.dice.n(chaosDomains)) }

func (c *chaos) site() string { return fmt.Sprint("site", c.dice.n(chaosSites)) }

// message makes one; more often than not to one recipient in a domain.
func (c *chaos) message(domain int) queue.Message {
	d := c.dice
	c.books.mu.Lock()
	c.books.serial++
	serial := c.books.serial
	c.books.mu.Unlock()
	m := queue.Message{Priority: oneOf(d, queue.Normal, queue.Normal, queue.Interactive, queue.Bulk)}
	m.Envelope.ReversePath = fmt.Sprintf("s%d@d%d.test", serial, d.n(chaosDomains))
	m.Origin.Site = c.site()
	to := oneOf(d, 1, 1, 1, 1, 1, 1, 1, 1+d.n(5), 1+d.n(5), 1+d.n(60))
	for i := range to {
		if d.n(3) == 0 && to > 1 {
			domain = d.n(chaosDomains)
		}
		m.Envelope.Recipients = append(m.Envelope.Recipients, transport.Recipient{Address: fmt.Sprintf("u%d-%d@d%d.test", serial, i, domain)})
	}
	switch d.n(10) {
	case 0:
		m.NotBefore = time.Now().Add(d.upTo(6 * time.Hour))
	case 1:
		m.Lifetime = oneOf(d, -1, time.Duration(1+d.n(int(3*time.Hour))))
	case 2:
		m.Hold = "to be looked at"
	case 3:
		m.Key = fmt.Sprint("key", serial)
	}
	return m
}

func (c *chaos) content() string {
	return strings.Repeat("0123456789abcde\r\n", oneOf(c.dice, 0, 1, 1, 1, 1, 100, c.dice.n(3000), c.dice.n(20_000)))
}

// accept notes a message that was accepted.
func (c *chaos) accept(m *queue.Message, content, id string) {
	c.books.mu.Lock()
	defer c.books.mu.Unlock()
	for _, r := range m.Envelope.Recipients {
		c.books.accepted[r.Address] = true
	}
	if m.Key != "" {
		c.books.keyed = append(c.books.keyed, keyed{*m, content, id})
	}
}

func (c *chaos) enqueue(q *queue.Queue, domain int) {
	m, content := c.message(domain), c.content()
	id, err := q.Enqueue(c.Context(), m, strings.NewReader(content))
	switch {
	case err == nil:
		c.accept(&m, content, id)
	case !errors.Is(err, queue.ErrLocked):
		c.Errorf("enqueue: %v", err)
	}
}

// enqueueTx stores some messages in a transaction of a program's, or does not.
func (c *chaos) enqueueTx(q *queue.Queue) {
	tx, err := c.db.Begin()
	if err != nil {
		return // locked
	}
	defer func() { _ = tx.Rollback() }()
	var accept []func()
	var ids []string
	for range 1 + c.dice.n(3) {
		m := c.message(c.dice.n(chaosDomains))
		id, err := q.EnqueueTx(c.Context(), tx, m, strings.NewReader("\r\n"))
		if err != nil {
			c.Errorf("EnqueueTx: %v", err)
			return
		}
		ids = append(ids, id)
		accept = append(accept, func() { c.accept(&m, "\r\n", id) })
	}
	time.Sleep(c.dice.upTo(time.Second))
	if c.dice.n(3) == 0 || tx.Commit() != nil {
		c.books.mu.Lock()
		c.books.undone = append(c.books.undone, ids...)
		c.books.mu.Unlock()
		return
	}
	for _, f := range accept {
		f()
	}
	if c.dice.n(2) == 0 {
		c.q.Wake()
	}
}

// repeat hands a message with a key in once more.
func (c *chaos) repeat(q *queue.Queue) {
	c.books.mu.Lock()
	all := c.books.keyed
	c.books.mu.Unlock()
	if len(all) == 0 {
		return
	}
	k := oneOf(c.dice, all...)
	id, err := q.Enqueue(c.Context(), k.message, strings.NewReader(k.content))
	if err == nil && id != k.id || err != nil && !errors.Is(err, queue.ErrLocked) {
		c.Errorf("%s was stored under its key as %s, and now as %q, error %v", k.message.Key, k.id, id, err)
	}
}

func (c *chaos) rule() {
	r := queue.Rule{Site: c.site(), Domain: c.label()[1:]}
	if c.dice.n(2) == 0 {
		r.Site = ""
	}
	id, err := oneOf(c.dice, c.q, c.other).AddRule(c.Context(), r)
	if err != nil && !errors.Is(err, queue.ErrLocked) {
		c.Errorf("rule: %v", err)
	}
	if id != 0 {
		c.rules = append(c.rules, id)
	}
}

// change does what a person may.
func (c *chaos) change(q *queue.Queue) {
	m := oneOf(c.dice, queue.Match{Site: c.site()}, queue.Match{Domain: c.label()[1:]}, queue.Match{Domain: c.label()[1:]},
		queue.Match{Domain: c.label()[1:], State: queue.InState(queue.Active)}, queue.Match{State: queue.InState(queue.OnHold)})
	fail := func(ctx context.Context, m queue.Match) (int, error) { return q.Fail(ctx, m, "") }
	f := oneOf(c.dice, q.Hold, q.Release, q.Release, q.Retry, q.Requeue, q.Remove, fail)
	if c.dice.n(10) == 0 {
		m, f = queue.Match{All: true}, oneOf(c.dice, q.Hold, q.Release, q.Retry, q.Requeue)
	}
	if _, err := f(c.Context(), m); err != nil && !errors.Is(err, queue.ErrLocked) {
		c.Errorf("change: %v", err)
	}
}
