package mailcore_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// A peer is an SMTP server on a real socket that remembers who sent from where.
type peer struct {
	listener net.Listener
	blocked  chan struct{} // one for each message whose acceptance waits
	release  chan struct{} // closed: none waits any more

	mu   sync.Mutex
	from map[string][]string // addresses of clients by sender
	got  chan string         // senders
}

func newPeer(t *testing.T, wait string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{listener: l, blocked: make(chan struct{}, 1000), release: make(chan struct{}), from: map[string][]string{}, got: make(chan string, 1000)}
	var sessions sync.WaitGroup
	t.Cleanup(func() { l.Close(); sessions.Wait() })
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { p.serve(c, wait) })
		}
	})
	return p
}

// serve takes everything; what is from wait is accepted only when that is released.
func (p *peer) serve(c net.Conn, wait string) {
	defer c.Close()
	r := bufio.NewReader(c)
	sender, content := "", false
	fmt.Fprint(c, "220 peer.test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case content && line != ".":
		case content:
			content = false
			p.note(sender, c.RemoteAddr())
			if strings.Contains(sender, wait) {
				p.blocked <- struct{}{}
				<-p.release
			}
			p.got <- sender
			fmt.Fprint(c, "250 taken\r\n")
		case verb == "MAIL":
			sender = line
			fmt.Fprint(c, "250 ok\r\n")
		case verb == "DATA":
			content = true
			fmt.Fprint(c, "354 go on\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

func (p *peer) note(sender string, client net.Addr) {
	host, _, _ := net.SplitHostPort(client.String())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from[sender] = append(p.from[sender], host)
}

// clientsOf lists where the mail came from whose sender has a text in it.
func (p *peer) clientsOf(text string) (all []string, messages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sender, clients := range p.from {
		if strings.Contains(sender, text) {
			all, messages = append(all, clients...), messages+len(clients)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), messages
}

func TestMailOfARemovedSiteLeavesFromNowhereElse(t *testing.T) {
	p := newPeer(t, "@gone.example")
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "panelmail.db"), mailcore.Config{Hostname: "mail.panel.test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	for name, ip := range map[string]string{"gone": "127.0.0.66", "keep": "127.0.0.65"} {
		addSite(t, srv, name, name+".example")
		if err := srv.Sites().SetSource(ctx, sites.Source{Key: name, IPv4: netip.MustParseAddr(ip)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.Sites().SetTLSPolicy(ctx, sites.TLSPolicy{Key: p.nexthop(), Level: transport.TLSNone}); err != nil {
		t.Fatal(err)
	}
	route(t, srv, "customer.test", "smtp:"+p.nexthop())
	send := func(site string, n int) {
		for i := range n {
			m := hello("a@"+site+".example", fmt.Sprintf("u%d@customer.test", i))
			m.Site = site
			submit(t, srv, m)
		}
	}
	send("gone", 100)
	<-p.blocked
	receipt, err := srv.RemoveSite(ctx, "gone", "")
	if err != nil {
		t.Fatal(err)
	}
	_, before := p.clientsOf("@gone.example")
	close(p.release)
	send("keep", 50)
	for kept := 0; kept < 50; {
		if strings.Contains(<-p.got, "@keep.example") {
			kept++
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	from, messages := p.clientsOf("@gone.example")
	if !slices.Equal(from, []string{"127.0.0.66"}) {
		t.Errorf("mail of the removed site came from %q", from)
	}
	if under := 20; messages > before+under || messages > 50 {
		t.Errorf("%d messages of it had come when it was removed, and %d in the end", before, messages)
	}
	if got := receipt.Rows["messages"]; got != 100 {
		t.Errorf("%d messages were removed, want 100, those under way included", got)
	}
	if from, n := p.clientsOf("@keep.example"); n != 50 || !slices.Equal(from, []string{"127.0.0.65"}) {
		t.Errorf("%d messages of the other came from %q", n, from)
	}
}

// nexthop is where the peer is, as maps have it.
func (p *peer) nexthop() string {
	at := netip.MustParseAddrPort(p.listener.Addr().String())
	return fmt.Sprintf("[%s]:%d", at.Addr(), at.Port())
}
