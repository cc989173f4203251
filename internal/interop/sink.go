package interop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Sink is an SMTP server that accepts everything and remembers what came,
// octet by octet. It knows no more of the protocol than it takes to do that
// fast. Set fields before Start.
type Sink struct {
	Addr string // where to listen; if "", a free port of 127.0.0.1; set by Start

	// TLS, if set, is used for STARTTLS.
	TLS *tls.Config

	// Answer, if set, may answer a command in the sink's place: verb is the
	// command's first word in capitals ("" at the greeting, "." at the end of
	// data), line the command. It returns whole reply lines without the last
	// line end, or "" for the sink's own answer. A reply to "DATA" or "."
	// other than 2xx or 3xx refuses the message. [Drop] closes the connection.
	// Calls come from many goroutines.
	Answer func(verb, line string) string

	// Received, if set, is called with each message accepted, before the reply
	// to it is sent. Calls come from many goroutines.
	Received func(Message)

	Forget  bool // do not keep messages; Received still gets them
	Discard bool // do not keep content: Raw stays nil, Size is right

	count    atomic.Int64
	mu       sync.Mutex
	messages []Message
	arrived  chan struct{} // closed and replaced at each message
	conns    map[net.Conn]bool
	listener net.Listener
	running  sync.WaitGroup
}

// Drop, as an answer, closes the connection without a reply.
const Drop = "\x00drop"

// A Message is what a [Sink] was given.
type Message struct {
	Peer string   // address and port of the client
	HELO string   // its name for itself
	TLS  bool     // after STARTTLS
	Mail string   // argument of MAIL, "FROM:<a@b.test> SIZE=4096"
	Rcpt []string // arguments of RCPT
	Raw  []byte   // from the octet after DATA's line end to the dot: stuffed, with the last CRLF
	Size int      // octets of Raw
}

// From is the reverse-path.
func (m Message) From() string { return between(m.Mail) }

// To are the recipients.
func (m Message) To() []string {
	to := make([]string, len(m.Rcpt))
	for i, r := range m.Rcpt {
		to[i] = between(r)
	}
	return to
}

// Content is the message with dot-stuffing undone.
func (m Message) Content() []byte {
	c := bytes.ReplaceAll(m.Raw, []byte("\r\n."), []byte("\r\n"))
	return bytes.TrimPrefix(c, []byte("."))
}

// between is what stands in angle brackets.
func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	if i := strings.LastIndexByte(s, '>'); i >= 0 {
		s = s[:i]
	}
	return s
}

// Start listens and serves until Close.
func (s *Sink) Start() error {
	if s.Addr == "" {
		s.Addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	s.Addr = l.Addr().String()
	s.listener = l
	s.conns = map[net.Conn]bool{}
	s.arrived = make(chan struct{})
	s.running.Go(s.accept)
	return nil
}

// Close stops listening, closes every connection and returns when all is over.
// What was received stays readable.
func (s *Sink) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// Count is how many messages were accepted.
func (s *Sink) Count() int { return int(s.count.Load()) }

// Messages returns what was accepted, in the order of arrival.
func (s *Sink) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Quiet reports whether no connection is open.
func (s *Sink) Quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) == 0
}

// Arrived returns a channel that is closed when the next message is accepted.
func (s *Sink) Arrived() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived
}

func (s *Sink) accept() {
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.running.Go(func() {
			d := dialogue{sink: s, m: Message{Peer: c.RemoteAddr().String()}}
			d.attach(c)
			d.run()
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// accepted records a message.
func (s *Sink) accepted(m Message) {
	if s.Received != nil {
		s.Received(m)
	}
	s.count.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Forget {
		s.messages = append(s.messages, m)
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
}
