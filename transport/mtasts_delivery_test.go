package transport_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// announcing is a zone with TXT records.
type announcing struct {
	*zone
	texts map[string][]string
}

func (a announcing) Text(_ context.Context, name string) ([]string, error) {
	if texts := a.texts[name]; texts != nil {
		return texts, nil
	}
	return nil, noSuchHost(name)
}

// stsDelivery delivers to x.test over real sockets: its exchanger mx.x.test and the host
// of its policy are on loopback, where the dialer leads.
func stsDelivery(t *testing.T, kept *transport.STSEntry, serve http.HandlerFunc, starttls bool, names ...string) transport.Outcome {
	t.Helper()
	ca := newAuthority(t)
	x := &exchanger{tls: &tls.Config{Certificates: []tls.Certificate{ca.server(t, inADay(), names...)}}}
	if starttls {
		x.offers = []string{"STARTTLS"}
	} else {
		x.answer = func(line string) string { return map[string]string{"STARTTLS": "502 5.5.1 unknown"}[line] }
	}
	mx, web := loopbackListener(t), loopbackListener(t)
	go x.serve(mx)
	server := &http.Server{Handler: serve, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(tls.NewListener(web, &tls.Config{Certificates: []tls.Certificate{ca.server(t, inADay(), "mta-sts.x.test")}}))
	t.Cleanup(func() { server.Close() })

	network := transport.NetworkFunc(func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		to := mx
		if remote.Port() == 443 {
			to = web
		}
		return transport.System{}.Dial(ctx, local, to.Addr().(*net.TCPAddr).AddrPort())
	})
	resolver := announcing{
		zone: &zone{
			mx:    map[string][]transport.MX{"x.test": {{Preference: 10, Host: "mx.x.test."}}},
			addrs: map[string][]string{"mx.x.test": {"192.0.2.1"}, "mta-sts.x.test": {"192.0.2.2"}},
		},
		texts: map[string][]string{"_mta-sts.x.test": announced("2")},
	}
	store := &policyShelf{kept: map[string]transport.STSEntry{}}
	if kept != nil {
		store.kept["x.test"] = *kept
	}
	policies := &transport.MTASTS{Network: network, Resolver: resolver, Store: store, Roots: ca.pool, Wait: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { policies.Run(ctx) })
	defer running.Wait()
	defer cancel()
	s := &transport.SMTP{
		Hostname: "us.test", Network: network, Resolver: resolver, STS: policies, TLSConfig: &tls.Config{RootCAs: ca.pool()},
	}
	defer s.Close()
	d := mail("u@x.test")
	d.Plan.TLSTerms.Published = true
	return s.Deliver(t.Context(), d)[0]
}

func loopbackListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestMTASTSPoliciesOfAWebServerAreKept(t *testing.T) {
	enforced := transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"mx.x.test"}, MaxAge: time.Hour}
	cached := &transport.STSEntry{Domain: "x.test", ID: "1", Policy: enforced, Fetched: time.Now().Add(-time.Hour / 4)}
	expired := &transport.STSEntry{Domain: "x.test", ID: "1", Policy: enforced, Fetched: time.Now().Add(-time.Hour)}
	policy := func(mode, mx string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			plain(w, "version: STSv1\nmode: "+mode+"\nmx: "+mx+"\nmax_age: 86400\n")
		}
	}
	const (
		notOffered = "451 4.7.4 TLS is required, but was not offered by host mx.x.test[192.0.2.1]"
		stranger   = "451 4.7.5 the MTA-STS policy of x.test does not name host mx.x.test"
	)
	for name, tt := range map[string]struct {
		kept     *transport.STSEntry
		serve    http.HandlerFunc
		starttls bool
		cert     string
		want     string // the trust, "clear", or how the reply begins
	}{
		"enforce":                          {nil, policy("enforce", "mx.x.test"), true, "mx.x.test", "Verified"},
		"enforce, by a wildcard":           {nil, policy("enforce", "*.x.test"), true, "*.x.test", "Verified"},
		"enforce, another host":            {nil, policy("enforce", "other.x.test"), true, "mx.x.test", stranger},
		"enforce, another certificate":     {nil, policy("enforce", "mx.x.test"), true, "x.test", "451 4.7.5 Server certificate not verified"},
		"enforce, no TLS":                  {nil, policy("enforce", "mx.x.test"), false, "mx.x.test", notOffered},
		"testing, another host":            {nil, policy("testing", "other.x.test"), true, "mx.x.test", "Trusted"},
		"testing, another certificate":     {nil, policy("testing", "mx.x.test"), true, "x.test", "Trusted"},
		"testing, no TLS":                  {nil, policy("testing", "mx.x.test"), false, "mx.x.test", "clear"},
		"none":                             {nil, policy("none", "other.x.test"), false, "mx.x.test", "clear"},
		"a new one in the place of a kept": {cached, policy("enforce", "*.x.test"), true, "mx.x.test", "Verified"},
		"not fetched, kept":                {cached, http.NotFound, false, "mx.x.test", notOffered},
		"not fetched, kept and expired":    {expired, http.NotFound, false, "mx.x.test", "clear"},
		"not fetched, none kept":           {nil, http.NotFound, false, "mx.x.test", "clear"},
		"expired, and fetched":             {expired, policy("enforce", "mx.x.test"), false, "mx.x.test", notOffered},
	} {
		o := stsDelivery(t, tt.kept, tt.serve, tt.starttls, tt.cert)
		got := o.Reply.Error()
		if o.Delivered() {
			got = string(o.TLS.Trust)
			if o.TLS.Version == "" {
				got = "clear"
			}
		}
		if !strings.HasPrefix(got, tt.want) || !o.Delivered() && !o.Deferred() {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
