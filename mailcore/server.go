package mailcore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A Server is the mail subsystem of one panel: the desk in front of one queue,
// and the dock behind it. Its methods may be called from many goroutines.
type Server struct {
	queue        *queue.Queue
	sites        *sites.Sites
	watch        *watch
	dispatcher   *transport.Dispatcher
	destinations *transport.Destinations
	policies     *transport.MTASTS
	local        localCount
	tlsTally     *transport.TLSTally
	lookups      chan struct{}             // one for each look-up of restrictions
	clients      [kinds]smtpserver.Clients // what clients do, by the kind of listener
	rewritten    *rewrittenWatch

	desk      atomic.Pointer[desk]
	reloading sync.Mutex // held by who replaces desk

	mu      sync.Mutex
	bound   []netip.AddrPort // where our own listeners are, for the loop check
	running bool
}

// Format hides everything: a server holds passwords.
func (s *Server) Format(f fmt.State, _ rune) { fmt.Fprint(f, "mailcore.Server") }

// Open opens the database file at path, making it and its directory if they are
// missing, and returns a server that is not running yet. Close it, or Run it.
func Open(ctx context.Context, path string, config Config) (*Server, error) {
	return open(ctx, config, func(o queue.Options) (*queue.Queue, error) {
		return queue.Open(ctx, path, o)
	})
}

// New is Open on the caller's own database, whose pool and pragmas stay
// untouched; the tables of ours are named panelmail_…. See queue.New for what the
// database must be.
func New(ctx context.Context, db *sql.DB, config Config) (*Server, error) {
	return open(ctx, config, func(o queue.Options) (*queue.Queue, error) {
		return queue.New(ctx, db, o)
	})
}

func open(ctx context.Context, config Config, openQueue func(queue.Options) (*queue.Queue, error)) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{lookups: make(chan struct{}, maxQuestions), tlsTally: &transport.TLSTally{}}
	if s.queue, err = openQueue(s.queueOptions(config)); err != nil {
		return nil, err
	}
	if s.sites, err = sites.New(ctx, s.queue); err != nil {
		return nil, errors.Join(err, s.queue.Close())
	}
	if err := s.sites.PrepareSRS(ctx); err != nil {
		return nil, errors.Join(err, s.queue.Close())
	}
	s.watch, s.rewritten = newWatch(), newRewrittenWatch()
	s.policies = s.newPolicies(config.Log)
	first, err := s.newDesk(config, nil)
	if err != nil {
		return nil, errors.Join(err, s.queue.Close())
	}
	s.desk.Store(first)
	s.buildDock(config.Log)
	return s, nil
}

// Close closes the database. It is not needed after Run.
func (s *Server) Close() error {
	s.current().close()
	return s.queue.Close()
}

// Queue is the queue behind the server.
func (s *Server) Queue() *queue.Queue { return s.queue }

// TLSCounts is what became of TLS to other hosts, by day, policy and kind of failure
// (RFC 8460). It is kept for three days, and lost with the process.
func (s *Server) TLSCounts() []transport.TLSCount { return s.tlsTally.Counts() }

// Sites are the settings of the hosted sites.
func (s *Server) Sites() *sites.Sites { return s.sites }

// Plan plans the way of a message to one recipient as delivery does, with the rule
// behind each part. No connection is made. An error is a [*transport.PlanError].
func (s *Server) Plan(ctx context.Context, q transport.Query) (transport.Plan, error) {
	return s.current().planner.Plan(ctx, q)
}

// Explain is [Server.Plan] for mail that the panel submits. The site is the one that
// the message would belong to; "" is the panel itself.
func (s *Server) Explain(ctx context.Context, site, sender, recipient string) (transport.Plan, error) {
	return s.Plan(ctx, transport.Query{
		Sender:    sender,
		Recipient: recipient,
		Origin:    transport.Origin{Site: site, Via: transport.ViaAPI, UID: -1},
	})
}

// Run takes mail from the listeners and delivers what is queued, until ctx is
// done. Then it lets sessions finish for as long as Grace says, closes the
// listeners and the database, and returns nil. It returns an error as soon as a
// listener fails or the queue cannot be run, after stopping all the rest. When it
// has returned, no goroutine of the server is left. A server runs once.
func (s *Server) Run(ctx context.Context, listeners ...Listener) error {
	if err := s.start(listeners); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error { return s.serve(ctx, l) })
	}
	group.Go(func() error { return s.queue.Run(ctx, s.dispatcher) })
	for _, run := range []func(context.Context){s.finishRemovals, s.destinations.Run, s.policies.Run, s.rotateSecrets, s.keepKeys} {
		group.Go(func() error {
			run(ctx)
			return nil
		})
	}
	if s.current().config.Maildrop != "" {
		group.Go(func() error { return s.drainMaildrop(ctx) })
	}
	err := group.Wait()
	return errors.Join(err, s.Close())
}

func (s *Server) start(listeners []Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return errors.New("mailcore: the server runs, or has run, already")
	}
	var addrs []net.Addr
	for _, l := range listeners {
		if err := l.check(); err != nil {
			return err
		}
		addrs = append(addrs, l.Addr())
	}
	bound, err := transport.ListenerAddrs(addrs...)
	if err != nil {
		return fmt.Errorf("mailcore: addresses of this machine: %w", err)
	}
	s.bound, s.running = bound, true
	return nil
}

// ownAddresses are the addresses our listeners are at.
func (s *Server) ownAddresses() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound
}
