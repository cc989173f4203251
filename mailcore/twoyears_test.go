package mailcore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport/transporttest"
)

const aDay = 24 * time.Hour

// A slowWorld publishes what a panel hands to it when it comes to it: its first server
// within three days, its second up to five days after that. A third one is delegated to
// and does not serve the zone, until somebody sees to it. Records may be remembered for
// two days, and for six that there were none.
type slowWorld struct {
	names    *transporttest.Names
	random   *rand.Rand
	repaired bool // the third server is not delegated to any more

	mu        sync.Mutex
	published [2]map[string]string // by the name, on each server that serves the zone
	seen      map[string]time.Time // when somebody began to publish a name
	caches    []map[string]cached  // of resolvers that the hosts of the world use
}

// A cached is what a resolver remembers.
type cached struct {
	text  string // "": that there is nothing
	until time.Time
}

var servers = [...]string{"192.0.2.11", "192.0.2.12"}

func newSlowWorld(seed uint64) *slowWorld {
	w := &slowWorld{
		names: transporttest.NewNames(), random: rand.New(rand.NewPCG(seed, 1)),
		seen: map[string]time.Time{}, caches: []map[string]cached{{}, {}, {}},
	}
	for i := range w.published {
		w.published[i] = map[string]string{}
	}
	w.names.Fault("192.0.2.13", transporttest.Lame)
	w.serve()
	return w
}

// serve has the servers serve what is published.
func (w *slowWorld) serve() {
	cut := []string{
		"example. 60 IN NS one.example.", "example. 60 IN NS two.example.",
		"one.example. 60 IN A 192.0.2.11", "two.example. 60 IN A 192.0.2.12", "lame.example. 60 IN A 192.0.2.13",
	}
	if !w.repaired {
		cut = append(cut, "example. 60 IN NS lame.example.")
	}
	w.names.Serve("192.0.2.1", ".", append([]string{
		". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1",
	}, cut...)...)
	for i, addr := range servers {
		lines := append([]string{"example. 518400 IN SOA one.example. x.example. 1 60 60 60 518400"}, cut...)
		for name, record := range w.published[i] {
			lines = append(lines, fmt.Sprintf("%s. 172800 IN %s", name, record))
		}
		w.names.Serve(addr, "example", lines...)
	}
}

// publish is the panel's, once a day: each record gets to the servers some days after
// it was first wanted, and what is not wanted any more goes at once.
func (w *slowWorld) publish(keys []sites.DKIMKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[string]string{}
	for _, k := range keys {
		if !k.Live() {
			continue
		}
		wanted[cmp.Or(k.Target, k.Name)] = `TXT "` + k.Record + `"`
		if k.Target != "" {
			wanted[k.Name] = "CNAME " + k.Target + "."
		}
	}
	for name, record := range wanted {
		key := name + record
		if w.seen[key].IsZero() {
			w.seen[key] = time.Now().Add(time.Duration(w.random.Int64N(int64(3 * aDay))))
		}
		for i := range w.published {
			if at := w.seen[key].Add(time.Duration(i) * 5 * aDay); !time.Now().Before(at) {
				w.published[i][name] = record
			}
		}
	}
	for i := range w.published {
		for name := range w.published[i] {
			if wanted[name] == "" && !strings.Contains(w.published[i][name], "CNAME") {
				delete(w.published[i], name)
			}
		}
	}
	w.serve()
}

// LookupTXT is what any of the resolvers of the world says: it asks either server.
func (w *slowWorld) LookupTXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cache := w.caches[w.random.IntN(len(w.caches))]
	for range 2 {
		found, ok := cache[name]
		if !ok || !time.Now().Before(found.until) {
			found = cached{text: w.published[w.random.IntN(len(servers))][name]}
			found.until = time.Now().Add(2 * aDay)
			if found.text == "" {
				found.until = time.Now().Add(6 * aDay)
			}
			cache[name] = found
		}
		if target, ok := strings.CutPrefix(found.text, "CNAME "); ok {
			name = strings.TrimSuffix(target, ".")
			continue
		}
		if found.text == "" {
			break
		}
		return []string{strings.Trim(strings.TrimPrefix(found.text, "TXT "), `"`)}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// A biennium is two years of mail.
type biennium struct {
	t     *testing.T
	ctx   context.Context
	srv   *Server
	world *slowWorld

	await                     map[time.Time][]func() // what happens on a day
	signed, verified, bounces int
}

// TestTwoYearsOfRotationsLoseNothing has keys and secrets rotated every few weeks for
// two years, while DNS is slow and one of the servers lame. Mail is verified when it
// leaves the queue, up to five days after it was taken, or when it was held or scheduled
// for months; and again five days later, for others have queues too. Bounces come back for
// three weeks.
func TestTwoYearsOfRotationsLoseNothing(t *testing.T) {
	days := 730
	if testing.Short() {
		days = 90
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // it is not about the disk
	}
	world := newSlowWorld(7)
	config := Config{
		Log: slog.New(slog.DiscardHandler), Resolver: world.names.Resolver(),
		Forwarding: Forwarding{Rotation: 10 * aDay},
	}
	run := func(srv *Server, ctx context.Context) {
		var group sync.WaitGroup
		group.Go(func() { srv.keepKeys(ctx) })
		group.Go(func() { srv.rotateSecrets(ctx) })
		group.Wait()
	}
	inYears(t, config, run, func(srv *Server) {
		b := &biennium{t: t, ctx: context.WithoutCancel(t.Context()), srv: srv, world: world, await: map[time.Time][]func(){}}
		b.begin()
		for n := range days {
			world.repaired = n > days/2 // without the lame server only caches are waited for
			b.day(n)
		}
		t.Logf("two years: days=%d signed=%d verified=%d bounces=%d keys=%d", days, b.signed, b.verified, b.bounces, len(world.seen))
		if b.signed < days/2 || b.verified < days || b.bounces < days*3/4 || len(world.seen) < days/40 {
			t.Error("too little happened")
		}
	})
}

// begin makes the domains, one of them with selectors that are delegated.
func (b *biennium) begin() {
	b.t.Helper()
	ctx, s := b.ctx, b.srv.Sites()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	must(s.AddSite(ctx, sites.Site{Name: "s"}))
	for _, p := range []sites.DKIMPolicy{
		{Domain: "own.example", Every: 30 * aDay},
		{Domain: "led.example", Every: 60 * aDay, Zone: "keys.example"},
	} {
		must(s.AddDomain(ctx, sites.Domain{Name: p.Domain, Site: "s", Class: sites.Hosted}))
		p.Algorithms = []dkim.Algorithm{dkim.Ed25519}
		_, err := s.GenerateDKIM(ctx, p)
		must(err)
	}
}

// day is a day, the nth: what is due happens, the panel publishes, and mail comes in.
func (b *biennium) day(n int) {
	ctx := b.ctx
	keys, err := b.srv.Sites().ListDKIM(ctx, "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.world.publish(keys)
	signs := func(domain string) bool {
		return slices.ContainsFunc(keys, func(k sites.DKIMKey) bool { return k.Domain == domain && k.State == sites.DKIMSigning })
	}
	for _, k := range keys { // somebody looks for a successor too early, and resolvers remember
		if k.State == sites.DKIMPending && signs(k.Domain) {
			for range 4 {
				_, _ = b.world.LookupTXT(ctx, k.Name)
			}
		}
	}
	b.mail([]string{"own.example", "led.example"}[n%2])
	b.forward()
	time.Sleep(aDay)
	now := time.Now()
	for _, f := range b.await[now] {
		f()
	}
	delete(b.await, now)
}

// later has something happen in some days.
func (b *biennium) later(days int, f func()) {
	at := time.Now().Add(time.Duration(days) * aDay)
	b.await[at] = append(b.await[at], f)
}

// mail submits a message of a domain, and verifies it when it leaves and later.
func (b *biennium) mail(domain string) {
	ctx := b.ctx
	m := Message{ReversePath: "a@" + domain, Site: "s", Recipients: []string{"b@far.test"}, Content: strings.NewReader("Subject: x\r\n\r\nhello\r\n")}
	stays := 1 + b.world.random.IntN(5)
	switch b.world.random.IntN(60) {
	case 0:
		stays = 100 // on hold
	case 1:
		stays = 200
		m.NotBefore = time.Now().Add(200 * aDay)
	}
	id, err := b.srv.Submit(ctx, m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.later(stays, func() {
		r, err := b.srv.Queue().Content(ctx, id)
		if err != nil {
			b.t.Fatal(err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			b.t.Fatal(err)
		}
		if !bytes.HasPrefix(content, []byte("DKIM-Signature:")) {
			return // before the first key signs
		}
		b.signed++
		b.verify(id, content)
		if _, err := b.srv.Queue().Remove(ctx, queue.Match{IDs: []string{id}}); err != nil {
			b.t.Fatal(err)
		}
		b.later(5, func() { b.verify(id, content) })
	})
}

func (b *biennium) verify(id string, content []byte) {
	b.verified++
	found, err := dkim.Verify(b.ctx, b.world, bytes.NewReader(content))
	if err != nil || len(found) != 1 || found[0].Result != dkim.Pass {
		b.t.Errorf("%s, %v: %+v, %v", id, time.Now(), found, err)
	}
}

// forward rewrites a sender, and reads the bounce to it when that comes.
func (b *biennium) forward() {
	ctx := b.ctx
	sender := fmt.Sprintf("u%d@far.test", b.bounces)
	r, err := b.srv.sites.Rewriter(ctx, "own.example")
	if err != nil {
		b.t.Fatal(err)
	}
	rewritten, err := r.Forward(sender)
	if err != nil {
		b.t.Fatal(err)
	}
	reverse := func() (string, error) {
		r, err := b.srv.sites.Rewriter(ctx, "own.example")
		if err != nil {
			return "", err
		}
		return r.Reverse(rewritten)
	}
	b.later(slices.Max([]int{b.world.random.IntN(22), 1}), func() {
		if got, err := reverse(); got != sender || err != nil {
			b.t.Errorf("%s is %q, %v", rewritten, got, err)
		}
		b.bounces++
	})
	b.later(23, func() {
		if got, err := reverse(); !errors.Is(err, srs.ErrExpired) && !errors.Is(err, srs.ErrHash) {
			b.t.Errorf("after its time %s is %q, %v", rewritten, got, err)
		}
	})
}
