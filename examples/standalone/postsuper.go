package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/queue"
)

// A superAction is what an option of postsuper does.
type superAction struct {
	letter byte
	done   string   // of one message
	total  string   // of all of them
	queues []string // where it looks if nothing is said
	change func(context.Context, *queue.Queue, queue.Match) (int, error)
}

// superTotals are in the order in which they are told.
var superTotals = []string{"Requeued", "Deleted", "Force-expired", "Placed on hold", releasedTotal}

const (
	released      = "released from hold"
	releasedTotal = "Released from hold"
)

// superActions are in the order in which they are carried out. A message that is given up (-e, -f) is bounced at once and not
// when it is next due; one on hold is left alone by -e, as on hold nothing
// happens.
func superActions() []superAction {
	everywhere := []string{"incoming", "active", "deferred", "hold"}
	giveUp := func(ctx context.Context, q *queue.Queue, m queue.Match) (int, error) {
		return q.Fail(ctx, m, "message is administratively expired")
	}
	return []superAction{
		{'d', "removed", "Deleted", everywhere, func(ctx context.Context, q *queue.Queue, m queue.Match) (int, error) { return q.Remove(ctx, m) }},
		{'r', "requeued", "Requeued", everywhere, func(ctx context.Context, q *queue.Queue, m queue.Match) (int, error) { return q.Requeue(ctx, m) }},
		{'e', "expired", "Force-expired", everywhere[:3], giveUp},
		{'f', "expired", "Force-expired", everywhere, giveUp},
		{'h', "placed on hold", "Placed on hold", everywhere[:3], func(ctx context.Context, q *queue.Queue, m queue.Match) (int, error) { return q.Hold(ctx, m) }},
		{'H', released, releasedTotal, everywhere[3:], func(ctx context.Context, q *queue.Queue, m queue.Match) (int, error) { return q.Release(ctx, m) }},
	}
}

// superuser is a command line of postsuper's.
type superuser struct {
	ids    map[byte][]string // by the letter of the action; ALL stands for all
	queues []string          // to which it is restricted; nil: where the action looks
	stdin  bool              // IDs are read from standard input
}

// queueNames are those of Postfix's queues. There is never anything in some.
var queueNames = []string{"maildrop", "incoming", "active", "deferred", "hold", "corrupt"}

func (c *call) superuser() (s superuser, err error) {
	found, rest, err := c.options("c:d:e:f:h:H:pr:sSv")
	if err != nil {
		return s, err
	}
	for _, name := range rest {
		if !slices.Contains(queueNames, name) {
			return s, fmt.Errorf("invalid directory name: %s", name)
		}
	}
	s.queues, s.ids = rest, map[byte][]string{}
	for _, o := range found {
		if strings.IndexByte("defhHr", o.letter) < 0 {
			continue // there are no queue files to be put right
		}
		if o.value == "-" {
			s.stdin = true
		}
		s.ids[o.letter] = append(s.ids[o.letter], o.value)
	}
	return s, nil
}

// readQueueIDs leaves standard input alone unless IDs are to be read from it.
func readQueueIDs(a *app, cmd command, args []string) ([]string, error) {
	s, err := (&call{command: cmd, args: args, stderr: io.Discard}).superuser()
	if err != nil || !s.stdin {
		a.stdin = nil
	}
	return args, nil
}

// postsuper changes the queue, whether a server runs or not.
func postsuper(ctx context.Context, c *call) error {
	s, err := c.superuser()
	if err != nil {
		return err
	}
	totals := map[string]int{}
	for _, a := range superActions() {
		ids, asked := s.ids[a.letter]
		if !asked {
			continue
		}
		n, err := c.super(ctx, a, s, ids)
		if err != nil {
			return err
		}
		totals[a.total] += n.changed
		if a.letter == 'f' {
			totals[releasedTotal] += n.released
		}
	}
	for _, total := range superTotals {
		if n, asked := totals[total]; asked {
			fmt.Fprintf(c.stderr, "postsuper: %s: %d %s\n", total, n, plural(n, "message"))
		}
	}
	return nil
}

// superCount counts messages; those released were given up (-f) while on hold.
type superCount struct{ changed, released int }

func (n *superCount) add(more superCount) {
	n.changed, n.released = n.changed+more.changed, n.released+more.released
}

// superChange does it to all messages of a match.
func (c *call) superChange(ctx context.Context, a superAction, m queue.Match) (n superCount, err error) {
	q := c.server.Queue()
	if a.letter == 'f' {
		held := m
		held.DryRun = true
		if n.released, err = q.Release(ctx, held); err != nil {
			return n, err
		}
	}
	n.changed, err = a.change(ctx, q, m)
	return n, err
}

// super carries out one action. What is done to all is not told one by one.
func (c *call) super(ctx context.Context, a superAction, s superuser, ids []string) (superCount, error) {
	ids, err := c.queueIDs(ids)
	if err != nil {
		return superCount{}, err
	}
	if slices.Contains(ids, "ALL") {
		for _, id := range ids {
			c.checkID(id)
		}
		return c.superAll(ctx, a, s.queues)
	}
	return c.superEach(ctx, a, s.queues, ids)
}

// queueIDs are the queue IDs that were named, those of standard input included.
func (c *call) queueIDs(named []string) (ids []string, err error) {
	for _, id := range named {
		if id != "-" {
			ids = append(ids, id)
			continue
		}
		lines := bufio.NewScanner(c.stdin)
		for lines.Scan() {
			ids = append(ids, lines.Text())
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	}
	return ids, nil
}

// checkID warns of what cannot be a queue ID.
func (c *call) checkID(id string) bool {
	if !validQueueID(id) {
		fmt.Fprintf(c.stderr, "postsuper: warning: invalid mail queue id: %s\n", printable(id))
		return false
	}
	return true
}

// superBatch is how many messages one change takes.
const superBatch = 500

// superAll does it to everything in the queues.
func (c *call) superAll(ctx context.Context, a superAction, queues []string) (total superCount, err error) {
	if len(queues) == 0 && a.letter != 'e' {
		return c.superChange(ctx, a, queue.Match{All: true})
	}
	if len(queues) == 0 {
		queues = a.queues
	}
	var ids []string
	flush := func() error {
		n, err := c.superChange(ctx, a, queue.Match{IDs: ids})
		total.add(n)
		ids = ids[:0]
		return err
	}
	for e, err := range c.server.Queue().Entries(ctx, queue.Match{All: true}) {
		if err != nil {
			return total, err
		}
		if !a.looksAt(e, queues) {
			continue
		}
		if ids = append(ids, e.ID); len(ids) == superBatch {
			if err := flush(); err != nil {
				return total, err
			}
		}
	}
	return total, flush()
}

// looksAt reports whether a message is where the action is to be done.
func (a superAction) looksAt(e queue.Entry, queues []string) bool {
	name := queueName(e)
	return slices.Contains(queues, name) && slices.Contains(a.queues, name)
}

// superAtOnce is how many messages are changed at the same time: they share
// commits.
const superAtOnce = 64

// superEach does it to one message after the other, and says so.
func (c *call) superEach(ctx context.Context, a superAction, queues, ids []string) (total superCount, err error) {
	for page := range slices.Chunk(ids, superAtOnce) {
		done := make([]superCount, len(page))
		group, ctx := errgroup.WithContext(ctx)
		for i, id := range page {
			group.Go(func() (err error) {
				done[i], err = c.superOne(ctx, a, queues, id)
				return err
			})
		}
		err := group.Wait()
		for i, id := range page {
			if !c.checkID(id) {
				continue
			}
			total.add(done[i])
			if done[i].changed > 0 {
				fmt.Fprintf(c.stderr, "postsuper: %s: %s\n", id, a.done)
			}
			if done[i].released > 0 {
				fmt.Fprintf(c.stderr, "postsuper: %s: %s\n", id, released)
			}
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// superOne does it to a message if it is there, and in one of the queues.
func (c *call) superOne(ctx context.Context, a superAction, queues []string, id string) (superCount, error) {
	if !validQueueID(id) {
		return superCount{}, nil
	}
	if len(queues) > 0 || a.letter == 'e' {
		e, err := c.entry(ctx, id)
		if errors.Is(err, queue.ErrNotFound) {
			return superCount{}, nil
		}
		if len(queues) == 0 {
			queues = a.queues
		}
		if err != nil || !a.looksAt(e, queues) {
			return superCount{}, err
		}
	}
	return c.superChange(ctx, a, queue.Match{IDs: []string{id}})
}
