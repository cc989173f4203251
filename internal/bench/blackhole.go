package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// blackHoles are destinations of which nothing ever comes back. One half takes
// connections and says nothing; to the other half no connection can be made, and
// none is refused.
type blackHoles struct {
	listeners []net.Listener
	full      []net.Conn // connections that fill a listener's queue
	taken     atomic.Int64
	mu        sync.Mutex
	conns     []net.Conn
	accepting sync.WaitGroup
}

// openBlackHoles makes n of them, each at an address of its own.
func openBlackHoles(ctx context.Context, n int) (*blackHoles, error) {
	h := &blackHoles{}
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.3.0.%d:0", i+1))
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		h.listeners = append(h.listeners, l)
		if i%2 == 0 {
			h.accepting.Go(func() { h.accept(l) })
			continue
		}
		if err := h.fill(ctx, l.(*net.TCPListener)); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

func (h *blackHoles) addrs() []string {
	var addrs []string
	for _, l := range h.listeners {
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// accept takes connections and does nothing with them.
func (h *blackHoles) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		h.taken.Add(1)
		h.mu.Lock()
		h.conns = append(h.conns, c)
		h.mu.Unlock()
	}
}

// fill makes the kernel's queue of a listener as short as it can be and
// connects until nobody gets in any more.
func (h *blackHoles) fill(ctx context.Context, l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var short error
	if err := raw.Control(func(fd uintptr) { short = unix.Listen(int(fd), 0) }); err != nil || short != nil {
		return errors.Join(err, short)
	}
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	for range 8 {
		c, err := dialer.DialContext(ctx, "tcp", l.Addr().String())
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return nil
		}
		if err != nil {
			return err
		}
		h.full = append(h.full, c)
	}
	return errors.New("a listener whose queue is full takes connections")
}

func (h *blackHoles) Close() error {
	for _, l := range h.listeners {
		l.Close()
	}
	h.accepting.Wait()
	for _, c := range append(h.conns, h.full...) {
		c.Close()
	}
	return nil
}

// settle returns when no connection has come for a while, the kernel's repeated
// tries included.
func (h *blackHoles) settle(ctx context.Context) error {
	for before, n := int64(-1), h.taken.Load(); n != before; before, n = n, h.taken.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}

// perHole is how many messages each black hole is sent.
const perHole = 100

// beside is the load of a workload on a server that has mail for n black holes
// beside: the mail is there first, and has all the connections it gets.
func beside(n int) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (_ figures, err error) {
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		dir, err := os.MkdirTemp(b.dir, "holes")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		d, err := openDestinations(w)
		if err != nil {
			return nil, err
		}
		defer d.close()
		holes, err := openBlackHoles(ctx, n)
		if err != nil {
			return nil, err
		}
		defer holes.Close()
		s, err := b.stock(ctx, dir, append(d.addrs(), holes.addrs()...), n*perHole, w.Size, func(i int) letter {
			return letter{to: fmt.Sprintf("hole%d@%s", i, domain(1+i%n))}
		})
		if err != nil {
			return nil, err
		}
		p := s.server()
		if err := p.Start(ctx); err != nil {
			return nil, err
		}
		server := standing(p)
		if err := holes.settle(ctx); err != nil {
			return nil, server.end(err)
		}
		f, err := b.measure(ctx, server, d, w)
		if err == nil && n > 0 && holes.taken.Load() == 0 {
			err = errors.New("nothing went to the black holes")
		}
		return f, server.end(err)
	}
}

// blackHoleWorkload is G12.
func blackHoleWorkload() workload {
	const alone, among = "alone", "20 black holes"
	return workload{
		Name: "G12", Text: "end to end, 4 KiB, 50 sessions, one destination; alone and beside 20 that are black holes",
		Messages: 10_000, Sessions: 50, Size: 4 * kib, Destinations: 1,
		goals: []goal{
			{figure: endRate, of: among, relative: true, atLeast: true, value: 0.9, to: []string{alone}},
			{figure: lost, of: among, value: 0},
		},
		cases: []scenario{{alone, beside(0)}, {among, beside(20)}},
	}
}
