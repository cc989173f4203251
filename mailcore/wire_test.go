package mailcore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// An asSeen is what a host sees of a plan.
type asSeen struct {
	From, HELO string
	TLS        bool
	Login      string
}

// promised is what a plan promises that a host will see.
func promised(t *testing.T, plan transport.Plan, offersTLS bool) asSeen {
	t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Source          struct{ IPv4 string }
		HELO            string
		TLS, Credential string
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p.Source.IPv4 == "" {
		p.Source.IPv4 = "127.0.0.1" // the system's choice
	}
	login, _, _ := strings.Cut(p.Credential, ":")
	return asSeen{p.Source.IPv4, p.HELO, p.TLS != "none" && offersTLS, login}
}

// A customer is a site with random settings for its mail.
type customer struct {
	r              *rand.Rand
	t              *testing.T
	sites          *sites.Sites
	n              int
	name, domain   string
	sender, remote string
	hop            string // where its mail is to go, of its own
	offersTLS      bool   // is what it does there
}

func (c *customer) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// often reports true n times out of ten.
func (c *customer) often(n int) bool { return c.r.IntN(10) < n }

func (c *customer) source(key string) sites.Source {
	src := sites.Source{Key: key, IPv4: netip.AddrFrom4([4]byte{127, 1, byte(c.n), byte(1 + c.r.IntN(250))}), Weight: 1 + c.r.IntN(5)}
	if c.often(5) {
		src.HELO = fmt.Sprintf("out%d.%s", c.r.IntN(5), c.domain)
	}
	src.Prefer = []transport.Family{"", "ipv4", "ipv6", "ipv4-only"}[c.r.IntN(4)]
	return src
}

func (c *customer) settle(ctx context.Context) {
	for _, key := range []string{c.sender, "@" + c.domain, c.name} {
		if c.often(3) {
			c.must(c.sites.SetSource(ctx, c.source(key)))
			for c.often(4) {
				c.must(c.sites.AddSource(ctx, c.source(key)))
			}
		}
	}
	smart := sites.SmartHost{Key: []string{c.sender, "@" + c.domain, c.name}[c.r.IntN(3)], Nexthop: c.hop}
	account := func(kind string) transport.Credential {
		return transport.Credential{User: kind + "-" + c.name, Password: "canary"}
	}
	if c.offersTLS && c.often(4) {
		smart.Credential = account("smart")
	}
	if c.often(5) {
		c.must(c.sites.SetSmartHost(ctx, smart))
	}
	if c.often(4) || smart.Credential == (transport.Credential{}) {
		value := []string{"smtp:", "relaylim:", ":"}[c.r.IntN(3)] + c.hop
		c.must(c.sites.SetRoute(ctx, sites.Route{Pattern: strings.TrimPrefix(c.remote, "to@"), Value: value}))
	} else {
		c.must(c.sites.SetSmartHost(ctx, smart))
	}
	if c.offersTLS && c.often(4) {
		c.must(c.sites.SetCredential(ctx, sites.Credential{Key: []string{c.hop, "@" + c.domain}[c.r.IntN(2)], Credential: account("relay")}))
	}
	if levels := []transport.TLSLevel{"none", "may", "encrypt"}; c.often(5) {
		if !c.offersTLS {
			levels = levels[:2]
		}
		c.must(c.sites.SetTLSPolicy(ctx, sites.TLSPolicy{Key: c.hop, Level: levels[c.r.IntN(len(levels))]}))
	}
}

func TestTheWireIsAsExplainedOverRealSockets(t *testing.T) {
	const customers = 200
	secure := &parrot{offers: "PLAIN", answer: usual, seen: map[string]asSeen{}}
	clear := &parrot{clear: true, answer: usual, seen: map[string]asSeen{}}
	ports := map[bool]string{true: secure.start(t, "0.0.0.0"), false: clear.start(t, "0.0.0.0")}
	var log buffer
	done, left := make(chan bool), customers
	config := mailcore.Config{Hostname: "mail.panel.example", Log: slog.New(slog.NewTextHandler(&log, nil))}
	config.Observe = func(events []queue.Event) {
		for _, e := range events {
			if e.Kind == queue.Delivered {
				if left--; left == 0 {
					close(done)
				}
			}
		}
	}
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), config)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	want := map[string]asSeen{}
	for n := range customers {
		c := customer{r: r, t: t, sites: srv.Sites(), n: n, name: fmt.Sprintf("s%d", n), domain: fmt.Sprintf("s%d.example", n), offersTLS: r.IntN(2) == 0}
		c.sender, c.remote = []string{"u@", "u+x@", "v@"}[r.IntN(3)]+c.domain, fmt.Sprintf("to@r%d.example", n)
		c.hop = fmt.Sprintf("[127.2.%d.1]:%s", n, ports[c.offersTLS])
		addSite(t, srv, c.name, c.domain)
		c.settle(t.Context())
		m := hello(c.sender, c.remote)
		m.Site = c.name
		q := transport.Query{
			ID: submit(t, srv, m), Sender: c.sender, Recipient: c.remote,
			Origin: transport.Origin{Site: c.name, Via: transport.ViaAPI, UID: -1},
		}
		plan, err := srv.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		want[c.remote] = promised(t, plan, c.offersTLS)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- srv.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Errorf("mail is left:\n%s", log.String())
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	got := map[string]asSeen{}
	for _, p := range []*parrot{secure, clear} {
		p.note(func() {
			for to, w := range p.seen {
				got[to] = w
			}
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	kinds := map[asSeen]int{}
	for _, w := range want {
		kinds[asSeen{TLS: w.TLS, Login: strings.Split(w.Login, "-")[0]}]++
	}
	if len(kinds) != 4 { // in clear; TLS; TLS with either credential
		t.Errorf("the settings are not as different as they should be: %v", kinds)
	}
}
