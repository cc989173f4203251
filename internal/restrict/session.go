package restrict

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Resolver answers questions to the DNS. Names are absolute. Errors are of type
// *[net.DNSError], IsNotFound for what does not exist; any other error is trouble that
// may pass.
type Resolver interface {
	// MX returns the hosts of the mail exchangers of a domain; "." alone is the null
	// MX (RFC 7505).
	MX(ctx context.Context, domain string) ([]string, error)

	// Addrs returns the addresses of a host, IPv4 and IPv6.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)

	// IPv4 returns the A records of a name.
	IPv4(ctx context.Context, name string) ([]netip.Addr, error)

	// Names returns the names of an address, from PTR records.
	Names(ctx context.Context, addr netip.Addr) ([]string, error)

	// Text returns the TXT records of a name.
	Text(ctx context.Context, name string) ([]string, error)
}

// A Desk says what the server is responsible for.
type Desk interface {
	// Ours reports whether mail for a domain is taken from anybody. The domain has
	// A-labels in lower case.
	Ours(ctx context.Context, domain string) (bool, error)
}

// A Session is one connection: what it asked the DNS it does not ask again. Its methods
// and those that take it are for one goroutine at a time.
type Session struct {
	Resolver Resolver
	Desk     Desk

	// Note is told what was permitted with a warning, and what should not be: for
	// the log. It may be nil.
	Note func(list Stage, text string)

	// Hasty leaves out the pauses of sleep.
	Hasty bool

	memory map[question]found
}

// A question is one to the DNS.
type question struct {
	kind recordType
	name string
}

type recordType int

const (
	mx recordType = iota
	addrs
	ipv4
	names
	texts
)

// found is the answer to a question.
type found struct {
	words []string // hosts, names or texts
	addrs []netip.Addr
	err   error
}

// missing reports that there is no such record, for sure.
func (f found) missing() bool {
	var e *net.DNSError
	return errors.As(f.err, &e) && e.IsNotFound
}

// Bounds of what a session keeps: clients choose whom it asks, and so what it is told.
const (
	maxMemory = 200 // answers
	maxWords  = 4   // of an answer; no restriction looks at more
	maxWord   = 512 // octets; a line of a reply has no room for more
	maxAddrs  = 100 // of an answer
)

// bounded is an answer without what is not kept.
func (f found) bounded() found {
	var words []string
	for _, word := range f.words[:min(len(f.words), maxWords)] {
		words = append(words, strings.Clone(word[:min(len(word), maxWord)]))
	}
	f.words, f.addrs = words, slices.Clone(f.addrs[:min(len(f.addrs), maxAddrs)])
	return f
}

// ask asks the DNS, once a session. Time that has run out counts as trouble.
func (r *run) ask(ctx context.Context, kind recordType, name string) found {
	s := r.session
	q := question{kind, strings.ToLower(name)}
	if f, ok := s.memory[q]; ok {
		return f
	}
	ctx, cancel := context.WithDeadline(ctx, earlier(r.until, time.Now().Add(patience)))
	defer cancel()
	f := s.query(ctx, q).bounded()
	if !time.Now().Before(r.until) {
		return f // the next request has time for it again
	}
	if s.memory == nil || len(s.memory) >= maxMemory {
		s.memory = map[question]found{}
	}
	s.memory[q] = f
	return f
}

func (s *Session) query(ctx context.Context, q question) (f found) {
	if err := ctx.Err(); err != nil {
		return found{err: err}
	}
	switch q.kind {
	case mx:
		f.words, f.err = s.Resolver.MX(ctx, q.name)
	case addrs:
		f.addrs, f.err = s.Resolver.Addrs(ctx, q.name)
	case ipv4:
		f.addrs, f.err = s.Resolver.IPv4(ctx, q.name)
	case texts:
		f.words, f.err = s.Resolver.Text(ctx, q.name)
	case names:
		addr, err := netip.ParseAddr(q.name)
		if err != nil {
			return found{err: err}
		}
		f.words, f.err = s.Resolver.Names(ctx, addr)
	}
	return f
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// maxNames is how many names of a client are tried.
const maxNames = 3

// clientName is the name of the client that leads back to its address, in lower case
// without a final dot; "unknown" if there is none. reverse says whether it has any name
// at all.
func (r *run) clientName(ctx context.Context) (name string, reverse bool) {
	client := r.request.Client
	if !client.IsValid() {
		return "unknown", false
	}
	f := r.ask(ctx, names, client.String())
	for _, name := range f.words[:min(len(f.words), maxNames)] {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if !isHostname(name) {
			continue
		}
		reverse = true
		if slices.Contains(r.ask(ctx, addrs, name).addrs, client) {
			return name, true
		}
	}
	return "unknown", reverse
}

// existence is what the DNS says of a domain.
type existence int

const (
	exists existence = iota
	absent
	nullMX
	inDoubt
)

// mailDomain looks whether mail could go to a domain (RFC 5321 section 5.1).
func (r *run) mailDomain(ctx context.Context, domain string) existence {
	exchangers := r.ask(ctx, mx, domain)
	switch {
	case len(exchangers.words) == 1 && strings.TrimSuffix(exchangers.words[0], ".") == "":
		return nullMX
	case len(exchangers.words) > 0:
		return exists
	}
	host := r.ask(ctx, addrs, domain)
	switch {
	case len(host.addrs) > 0:
		return exists
	case exchangers.missing() && host.missing():
		return absent
	}
	return inDoubt
}
