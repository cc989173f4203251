package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

// A policyWorld is the internet as an MTASTS sees it: records, and a web server for the
// policies of all domains.
type policyWorld struct {
	*transport.MTASTS
	net   *memnet.Network
	store *policyShelf
	host  netip.Addr // of mta-sts.x.test
	serve func(w http.ResponseWriter, r *http.Request)

	mu    sync.Mutex
	texts map[string][]string
	fail  bool // of the DNS
	asked []string
}

const policyText = "version: STSv1\nmode: enforce\nmx: mx.x.test\nmax_age: 604800\n"

// announced are the records of a domain with a policy of an id.
func announced(id string) []string { return []string{"v=STSv1; id=" + id + ";"} }

// newPolicyWorld makes one in which x.test has a policy. It is for a bubble.
func newPolicyWorld(t *testing.T) *policyWorld {
	t.Helper()
	w := &policyWorld{
		net: memnet.New(), host: netip.MustParseAddr("192.0.2.80"), store: &policyShelf{kept: map[string]transport.STSEntry{}},
		texts: map[string][]string{"_mta-sts.x.test": announced("1")},
	}
	w.serve = func(rw http.ResponseWriter, _ *http.Request) { plain(rw, policyText) }
	pair := policyCertificate(t)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	w.MTASTS = &transport.MTASTS{Network: w.net, Resolver: w, Store: w.store, Roots: func() *x509.CertPool { return roots }}
	listener, err := w.net.Listen(netip.AddrPortFrom(w.host, 443))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(r.Method + " https://" + r.Host + r.URL.String())
		w.mu.Lock()
		serve := w.serve
		w.mu.Unlock()
		serve(rw, r)
	})}
	go server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
	t.Cleanup(func() { server.Close() })
	return w
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, text)
}

// run runs the look-ups until the test ends.
func (w *policyWorld) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func (w *policyWorld) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

// took returns what was asked since the last time.
func (w *policyWorld) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.asked
	w.asked = nil
	return all
}

func (w *policyWorld) publish(name string, texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts[name] = texts
}

func (w *policyWorld) serves(handler http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve = handler
}

func (w *policyWorld) breaks() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = true
}

func (w *policyWorld) MX(context.Context, string) ([]transport.MX, error) {
	return nil, errors.New("nobody needs exchangers")
}

func (w *policyWorld) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, "mta-sts.") {
		return []netip.Addr{w.host}, nil
	}
	return nil, noSuchHost(host)
}

func (w *policyWorld) Text(_ context.Context, name string) ([]string, error) {
	w.note("TXT " + name)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch texts := w.texts[name]; {
	case w.fail:
		return nil, servfail(name)
	case texts != nil:
		return texts, nil
	}
	return nil, noSuchHost(name)
}

// policyShelf is a [transport.STSStore] in memory.
type policyShelf struct {
	mu   sync.Mutex
	kept map[string]transport.STSEntry
	fail bool
}

func (p *policyShelf) LoadSTS(_ context.Context, domain string) (transport.STSEntry, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail {
		return transport.STSEntry{}, false, errors.New("the disk is broken")
	}
	e, ok := p.kept[domain]
	return e, ok, nil
}

func (p *policyShelf) SaveSTS(_ context.Context, e transport.STSEntry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[e.Domain] = e
	return nil
}

func (p *policyShelf) DeleteSTS(_ context.Context, domain string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, domain)
	return nil
}

func (p *policyShelf) ListSTS(_ context.Context, after string, limit int) (all []transport.STSEntry, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.kept {
		if e.Domain > after {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b transport.STSEntry) int { return strings.Compare(a.Domain, b.Domain) })
	return all[:min(limit, len(all))], nil
}

func (p *policyShelf) domains() (all []string) {
	entries, _ := p.ListSTS(context.Background(), "", 1000)
	for _, e := range entries {
		all = append(all, e.Domain)
	}
	return all
}

// shownSTS is the facts in short.
func shownSTS(f transport.STSFacts) string {
	if f.Pending {
		return "pending"
	}
	s := strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Mode, strings.Join(f.MX, ","), f.ID))
	if f.Trouble != "" {
		s += " (" + string(f.Trouble) + ")"
	}
	return s
}

func TestAPolicyIsFetchedOnceAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.run(t)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if got, want := shownSTS(w.STS(t.Context(), "X.test.")), "enforce mx.x.test 1"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
		all.Wait()
		want := []string{"TXT _mta-sts.x.test", "GET https://mta-sts.x.test/.well-known/mta-sts.txt"}
		if diff := cmp.Diff(want, w.took()); diff != "" {
			t.Error(diff)
		}
		e := w.store.kept["x.test"]
		if e.ID != "1" || e.Policy.String() != policyText || !e.Expires().Equal(e.Fetched.Add(7*24*time.Hour)) || e.Used.IsZero() {
			t.Errorf("kept: %+v", e)
		}

		again := &transport.MTASTS{Network: w.net, Resolver: w, Store: w.store, Roots: w.Roots}
		other := &policyWorld{MTASTS: again}
		other.run(t)
		if got := shownSTS(again.STS(t.Context(), "x.test")); got != "enforce mx.x.test 1" {
			t.Errorf("after a restart: %s", got)
		}
		if diff := cmp.Diff([]string{"TXT _mta-sts.x.test"}, w.took()); diff != "" {
			t.Errorf("after a restart: %s", diff)
		}
	})
}

func TestADomainWithoutAPolicyIsAskedAgainAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.run(t)
		for _, domain := range []string{"none.test", "none.test", "none.test"} {
			if got := shownSTS(w.STS(t.Context(), domain)); got != "" {
				t.Errorf("%s: %s", domain, got)
			}
		}
		w.publish("_mta-sts.none.test", announced("1"))
		time.Sleep(5*time.Minute - time.Nanosecond)
		if got := shownSTS(w.STS(t.Context(), "none.test")); got != "" {
			t.Errorf("too soon: %s", got)
		}
		if diff := cmp.Diff([]string{"TXT _mta-sts.none.test"}, w.took()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Nanosecond)
		if got := shownSTS(w.STS(t.Context(), "none.test")); got != " (sts-webpki-invalid)" {
			t.Errorf("five minutes later: %s", got)
		}
	})
}

func TestWhatIsWrongWithAPolicyIsToldApart(t *testing.T) {
	for name, tt := range map[string]struct {
		serve func(w http.ResponseWriter, r *http.Request)
		want  string
	}{
		"not found": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
			"sts-policy-fetch-error: the policy host answered 404"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts.x.test/elsewhere", http.StatusFound)
		},
			"sts-policy-fetch-error: the policy host answered 302"},
		"an empty success": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
			"sts-policy-fetch-error: the policy host answered 204"},
		"a web page": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, policyText)
		},
			"sts-policy-fetch-error: the policy is not of type text/plain"},
		"no type": {func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, policyText)
		},
			"sts-policy-fetch-error: the policy is not of type text/plain"},
		"64 KiB": {func(w http.ResponseWriter, r *http.Request) {
			plain(w, policyText+strings.Repeat("\n", 64<<10-len(policyText)))
		}, ""},
		"an octet more": {func(w http.ResponseWriter, r *http.Request) {
			plain(w, policyText+strings.Repeat("\n", 64<<10-len(policyText)+1))
		},
			"sts-policy-fetch-error: the policy is larger than 65536 octets"},
		"no policy": {func(w http.ResponseWriter, r *http.Request) { plain(w, "hello\n") },
			"sts-policy-invalid: MTA-STS policy: line 1: not of the form name: value"},
		"a header without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 17<<10))
			plain(w, policyText)
		},
			"sts-policy-fetch-error: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 16384 bytes; aborted"},
		"a connection that breaks": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
			"sts-policy-fetch-error: EOF"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newPolicyWorld(t)
			w.serve = tt.serve
			w.run(t)
			f := w.STS(t.Context(), "x.test")
			got := ""
			if f.Trouble != "" {
				got = string(f.Trouble) + ": " + f.Detail
			}
			if got != tt.want || (f.Mode == "") != (tt.want != "") {
				t.Errorf("%s: %q, %s; want %q", name, got, f.Mode, tt.want)
			}
		})
	}
}

func TestAPolicyComesFromItsHostAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *policyWorld)
		want   string
	}{
		"a certificate for another name": {func(w *policyWorld) { w.publish("_mta-sts.y.test", announced("1")) }, " (sts-webpki-invalid)"},
		"a certificate of nobody":        {func(w *policyWorld) { w.Roots = x509.NewCertPool }, " (sts-webpki-invalid)"},
		"a private address":              {func(w *policyWorld) { w.lead("10.0.0.1") }, " (sts-policy-fetch-error)"},
		"this machine":                   {func(w *policyWorld) { w.lead("127.0.0.1") }, " (sts-policy-fetch-error)"},
		"nobody there":                   {func(w *policyWorld) { w.host = netip.MustParseAddr("192.0.2.81") }, " (sts-policy-fetch-error)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newPolicyWorld(t)
			tt.change(w)
			w.run(t)
			domain := "x.test"
			if w.texts["_mta-sts.y.test"] != nil {
				domain = "y.test"
			}
			if got := shownSTS(w.STS(t.Context(), domain)); got != tt.want {
				t.Errorf("%s: %s, want %s", name, got, tt.want)
			}
			if asked := w.took(); len(asked) != 1 {
				t.Errorf("%s: asked for %v", name, asked)
			}
		})
	}
}

func TestAPolicyHostMayBePrivateWhereThatIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.AllowPrivate = func() bool { return true }
		w.lead("127.0.0.1")
		w.run(t)
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != "enforce mx.x.test 1" {
			t.Error(got)
		}
	})
}

func TestASlowPolicyHostHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.net.BlackHole(w.host)
		w.run(t)
		began := time.Now()
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != "pending" || time.Since(began) != 5*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := shownSTS(w.STS(ctx, "x.test")); got != "pending" || time.Since(began) != 6*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != " (sts-policy-fetch-error)" {
			t.Errorf("in the end: %s", got)
		}
	})
}

func TestAPolicyHostThatDripsIsGivenUpAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.serve = func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				plain(rw, "x")
				rw.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}
		w.Wait = time.Hour
		w.run(t)
		began := time.Now()
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != " (sts-policy-fetch-error)" || time.Since(began) != time.Minute {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
}

func TestWithoutRunThePolicyIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != "pending" {
			t.Error(got)
		}
	})
}

func TestAPolicyThatCannotBeReadFromTheStoreIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.store.fail = true
		w.run(t)
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != "pending" {
			t.Error(got)
		}
		w.store.mu.Lock()
		w.store.fail = false
		w.store.mu.Unlock()
		if got := shownSTS(w.STS(t.Context(), "x.test")); got != "enforce mx.x.test 1" {
			t.Errorf("mended: %s", got)
		}
	})
}

// lead has the DNS give an address, behind which the policy host would be found.
func (w *policyWorld) lead(addr string) {
	w.host, w.Network = netip.MustParseAddr(addr), transport.NetworkFunc(w.redirected)
}

// redirected goes to the policy host whatever the address.
func (w *policyWorld) redirected(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return w.net.Dial(ctx, local, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.80"), remote.Port()))
}
