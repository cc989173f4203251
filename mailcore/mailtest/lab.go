package mailtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/queue"
)

// Hostname is the name of the server under test, unless its Config has one.
const Hostname = "mail.panel.example"

// Address is where the server under test listens, on ports 25, 465 and 587.
var Address = netip.MustParseAddr("198.51.100.1")

// A Lab is the world of one test. Its methods are for the test's own goroutine;
// those of its exchangers may be called from any.
type Lab struct {
	// DNS is what the resolver answers. Exchangers add themselves. It may be
	// changed while servers run only through [Lab.Domain] and [Lab.Exchanger].
	DNS *DNS

	t          *testing.T
	net        *memnet.Network
	exchangers []*Exchanger
	server     *running
	config     mailcore.Config
	log        *slog.Logger
	dir        string
	hosts      byte
}

// running is a server between Server and Stop.
type running struct {
	*mailcore.Server
	cancel context.CancelFunc
	done   chan error
}

// Test runs f in a bubble of virtual time. When f returns, the server and the
// exchangers are stopped; the test fails if a goroutine is left, or if the
// server did not stop without an error.
func Test(t *testing.T, f func(t *testing.T, lab *Lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lab := &Lab{DNS: NewDNS(), t: t, net: memnet.New(), dir: t.TempDir(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		lab.net.AddLocal(Address)
		defer lab.close()
		f(t, lab)
	})
}

func (l *Lab) close() {
	l.Stop()
	for _, x := range l.exchangers {
		x.Down()
	}
}

// Server starts the server under test with a database of its own, listening on
// [Address]. The zero fields of config are filled for the lab: its network, its
// DNS, [Hostname], a log that goes to the test's.
func (l *Lab) Server(config mailcore.Config) *mailcore.Server {
	l.t.Helper()
	if l.server != nil {
		l.t.Fatal("mailtest: a server runs already")
	}
	l.config = l.fill(config)
	return l.start()
}

// Reload has the server reload a configuration, whose zero fields are filled as
// [Lab.Server] fills them.
func (l *Lab) Reload(config mailcore.Config) error {
	l.t.Helper()
	if l.server == nil {
		l.t.Fatal("mailtest: no server runs")
	}
	config = l.fill(config)
	if err := l.server.Reload(config); err != nil {
		return err
	}
	l.config = config
	return nil
}

func (l *Lab) fill(config mailcore.Config) mailcore.Config {
	if config.Hostname == "" {
		config.Hostname = Hostname
	}
	if config.Network == nil {
		config.Network = l.net
	}
	if config.Resolver == nil {
		config.Resolver = l.DNS.Resolver()
	}
	if config.Log == nil {
		config.Log = l.log
	}
	if config.Poll == 0 {
		config.Poll = -1 // nobody else has the file, and looking takes real time
	}
	if config.CommitDelay == 0 {
		config.CommitDelay = -1 // what is due at an instant is done at that instant
	}
	return config
}

func (l *Lab) start() *mailcore.Server {
	l.t.Helper()
	srv, err := mailcore.Open(l.t.Context(), l.path(), l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.server = &running{Server: srv, cancel: cancel, done: make(chan error, 1)}
	listeners := l.listeners()
	done := l.server.done
	go func() { done <- srv.Run(ctx, listeners...) }()
	synctest.Wait()
	return srv
}

// path is the same for all servers of a lab, so that one that is started again
// finds what the other left.
func (l *Lab) path() string {
	return filepath.Join(l.dir, "mail.db")
}

func (l *Lab) listeners() []mailcore.Listener {
	l.t.Helper()
	var all []mailcore.Listener
	for port, kind := range map[uint16]mailcore.Kind{25: mailcore.SMTP, 465: mailcore.Submissions, 587: mailcore.Submission} {
		listener, err := l.net.Listen(netip.AddrPortFrom(Address, port))
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, mailcore.Listener{Kind: kind, Listener: listener})
	}
	return all
}

// Stop stops the server, as cancelling Run does. Its database stays.
func (l *Lab) Stop() {
	l.t.Helper()
	if l.server == nil {
		return
	}
	l.server.cancel()
	if err := <-l.server.done; err != nil {
		l.t.Errorf("mailtest: Run: %v", err)
	}
	l.server = nil
}

// Restart stops the server and starts another on the same database.
func (l *Lab) Restart() *mailcore.Server {
	l.t.Helper()
	l.Stop()
	return l.start()
}

// Wait lets virtual time pass, and then whatever is due at that instant.
func (l *Lab) Wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Drain lets virtual time pass until the queue is empty; the test fails if that
// takes longer than limit. It returns how long it took.
func (l *Lab) Drain(limit time.Duration) time.Duration {
	l.t.Helper()
	began := time.Now()
	for step := time.Second; ; step = min(2*step, 10*time.Minute) {
		synctest.Wait()
		left, err := l.queued()
		if err != nil {
			l.t.Fatalf("mailtest: the queue cannot be read: %v", err)
		}
		took := time.Since(began)
		if left == 0 {
			return took
		}
		if took >= limit {
			l.t.Fatalf("mailtest: %d messages are still queued after %v", left, took)
		}
		time.Sleep(min(step, limit-took))
	}
}

func (l *Lab) queued() (n int, err error) {
	if l.server == nil {
		return 0, errors.New("no server runs")
	}
	for _, err := range l.server.Queue().Entries(l.t.Context(), queue.Match{All: true}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Dial connects to the server under test, from a host of the internet.
func (l *Lab) Dial(port uint16) net.Conn {
	l.t.Helper()
	return l.DialFrom(l.newHost(), port)
}

// DialFrom connects to the server under test, from an address of the caller's
// choice.
func (l *Lab) DialFrom(from netip.Addr, port uint16) net.Conn {
	l.t.Helper()
	l.net.AddLocal(from)
	c, err := l.net.Dial(l.t.Context(), from, netip.AddrPortFrom(Address, port))
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// Listen listens at an address of the lab for a server that is not of the lab.
func (l *Lab) Listen() net.Listener {
	l.t.Helper()
	listener, err := l.net.Listen(netip.AddrPortFrom(l.newHost(), 25))
	if err != nil {
		l.t.Fatal(err)
	}
	return listener
}

// DialAddr connects to a listener of the lab.
func (l *Lab) DialAddr(addr net.Addr) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, err
	}
	return l.net.Dial(l.t.Context(), l.newHost(), to)
}

// Local makes addresses ones of the server's machine, to be used as sources.
func (l *Lab) Local(addrs ...netip.Addr) { l.net.AddLocal(addrs...) }

// newHost is an address nobody has.
func (l *Lab) newHost() netip.Addr {
	l.hosts++
	if l.hosts == 255 {
		l.t.Fatal("mailtest: more than 254 hosts")
	}
	addr := netip.MustParseAddr(fmt.Sprintf("203.0.113.%d", l.hosts))
	l.net.AddLocal(addr)
	return addr
}
