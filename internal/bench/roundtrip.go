package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A distance is a way to an address that takes time: what either end sends
// arrives half a round trip later, however much of it there is.
type distance struct {
	to       string
	half     time.Duration
	listener net.Listener
	open     sync.WaitGroup
	turns    atomic.Int64 // how often the near end, having heard something, spoke
	mu       sync.Mutex
	conns    []net.Conn
}

// newDistance listens on a free port of host for connections to an address.
func newDistance(host, to string, roundTrip time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	d := &distance{to: to, half: roundTrip / 2, listener: l}
	d.open.Go(d.accept)
	return d, nil
}

func (d *distance) addr() string { return d.listener.Addr().String() }

// Close ends all connections.
func (d *distance) Close() error {
	err := d.listener.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.open.Wait()
	return err
}

func (d *distance) accept() {
	for {
		near, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		far, err := net.Dial("tcp", d.to)
		if err != nil {
			near.Close()
			continue
		}
		d.mu.Lock()
		d.conns = append(d.conns, near, far)
		d.mu.Unlock()
		heard := &atomic.Bool{}
		there := func() {
			if heard.Swap(false) {
				d.turns.Add(1)
			}
		}
		d.open.Go(func() { d.carry(near, far, there, func() {}) })
		d.open.Go(func() { d.carry(far, near, func() {}, func() { heard.Store(true) }) })
	}
}

// A parcel is what was read at one time.
type parcel struct {
	octets []byte
	due    time.Time
}

// carry brings what one end sends to the other. It calls sent and delivered with
// each parcel.
func (d *distance) carry(from, to net.Conn, sent, delivered func()) {
	parcels := make(chan parcel, 1<<10)
	d.open.Go(func() {
		defer to.(*net.TCPConn).CloseWrite()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			delivered()
			if _, err := to.Write(p.octets); err != nil {
				io.Copy(io.Discard, from) // until that end notices
				for range parcels {
				}
				return
			}
		}
	})
	defer close(parcels)
	for {
		p := parcel{octets: make([]byte, 16*kib)}
		n, err := from.Read(p.octets)
		if n > 0 {
			p.octets, p.due = p.octets[:n], time.Now().Add(d.half)
			sent()
			parcels <- p
		}
		if err != nil {
			return
		}
	}
}

// extra is how many recipients every other message of P10 has beyond the first.
const extra = 10

// far is a target with its destination at a distance, one delivery at a time.
func far(t target, roundTrip time.Duration) scenario {
	return scenario{name: t.name, run: func(ctx context.Context, b *bench, w workload) (_ figures, err error) {
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		var way *distance
		near := t.start
		t := target{name: t.name, start: func(ctx context.Context, s scene) (running, error) {
			if way, err = newDistance("127.1.0.1", s.nextHops[0], roundTrip); err != nil {
				return running{}, err
			}
			s.nextHops, s.one = []string{way.addr()}, true
			return near(ctx, s)
		}}
		j := &journal{}
		w.arrived = func(recipients int) { j.note(recipients, way.turns.Load()) }
		f, err := b.run(ctx, t, w)
		if way != nil {
			way.Close()
		}
		if err != nil {
			return nil, err
		}
		one, many := j.since(1), j.since(1+extra)
		if len(one.turns) == 0 || len(many.turns) == 0 {
			return nil, errors.New("too few arrivals")
		}
		single := spreadOf(one.turns).Median
		f[trips], f[tripsMore] = single, (spreadOf(many.turns).Median-single)/extra
		f[gap] = spreadOf(one.gaps).Median
		return f, nil
	}}
}

// A journal remembers when messages arrived.
type journal struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct {
	recipients int
	at         time.Time
	turns      int64
}

func (j *journal) note(recipients int, turns int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry{recipients, time.Now(), turns})
}

// intervals are what lies between two arrivals.
type intervals struct {
	gaps  []float64 // milliseconds
	turns []float64
}

// since is what lay between the arrivals of messages with so many recipients
// and the one before each.
func (j *journal) since(recipients int) (all intervals) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, e := range j.entries {
		if i > 0 && e.recipients == recipients {
			before := j.entries[i-1]
			all.gaps = append(all.gaps, e.at.Sub(before.at).Seconds()*1000)
			all.turns = append(all.turns, float64(e.turns-before.turns))
		}
	}
	return all
}

// roundTripWorkload is P10. A round trip is counted where the server's end of a
// connection speaks after it has heard something.
func roundTripWorkload(b *bench) workload {
	const roundTrip = 50 * time.Millisecond
	w := workload{
		Name: "P10", Text: "over a network of 50 ms, one connection; every other message with eleven recipients",
		Messages: 100, Sessions: 1, Size: 4 * kib, Destinations: 1, Extra: extra, Rounds: 3,
		goals: []goal{{figure: trips, value: 2}, {figure: tripsMore, value: 0}, {figure: lost, value: 0}},
	}
	for _, t := range []target{postfix("postfix", nil), panelmail(b)} {
		w.cases = append(w.cases, far(t, roundTrip))
	}
	return w
}
