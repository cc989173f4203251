package sites_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
	"pgregory.net/rapid"
)

// counting counts transactions that read.
type counting struct {
	*file
	views atomic.Int64
}

func (c *counting) View(ctx context.Context, do func(*sql.Tx) error) error {
	c.views.Add(1)
	return c.file.View(ctx, do)
}

func TestCurrentAsksTheDatabaseOnceASecond(t *testing.T) {
	db := &counting{file: newFile(t)}
	synctest.Test(t, func(t *testing.T) {
		s, err := sites.New(t.Context(), db)
		must(t, err)
		before := db.views.Load()
		for range 10 {
			for range 1000 {
				_, err := s.Current(t.Context())
				must(t, err)
			}
			time.Sleep(time.Second)
		}
		if n := db.views.Load() - before; n != 9 {
			t.Errorf("%d reads in 10 seconds", n)
		}
	})
}

func TestAChangeOfAnotherProcessIsSeenWithinASecond(t *testing.T) {
	f := newFile(t)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		ours, err := sites.New(ctx, f)
		must(t, err)
		theirs, err := sites.New(ctx, f)
		must(t, err)
		must(t, theirs.AddSite(ctx, sites.Site{Name: "a", UIDs: []int{1}}))
		if _, ok := theirs.Snapshot().SiteOfUID(1); !ok {
			t.Error("a change of our own is not seen at once")
		}
		time.Sleep(time.Second)
		snap, err := ours.Current(ctx)
		must(t, err)
		if _, ok := snap.SiteOfUID(1); !ok {
			t.Error("a change of another process is not seen after a second")
		}
		if snap != ours.Snapshot() {
			t.Error("Current and Snapshot differ")
		}
	})
}

func TestAChangeInATransactionOfTheCallerCountsWhenItCommits(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	fill(t, s, "a", 1001, "192.0.2.1")
	stop := errors.New("stop")
	err = f.Update(ctx, func(tx *sql.Tx) error {
		if _, err := s.RemoveSiteTx(tx, "a", ""); err != nil {
			return err
		}
		return stop
	})
	if err != stop {
		t.Fatal(err)
	}
	snap, err := s.Reload(ctx)
	must(t, err)
	if _, ok := snap.Site("a"); !ok {
		t.Fatal("a site is gone although nothing was committed")
	}
	before := snap.Revision()
	must(t, f.Update(ctx, func(tx *sql.Tx) error { return s.RenameSiteTx(tx, "a", "b") }))
	must(t, f.Update(ctx, func(tx *sql.Tx) error {
		r, err := s.RemoveSiteTx(tx, "b", "")
		if err == nil && r.Rows["sources"] != 3 {
			err = fmt.Errorf("receipt %+v", r)
		}
		return err
	}))
	snap, err = s.Reload(ctx)
	must(t, err)
	if _, ok := snap.Site("b"); ok {
		t.Error("the site is still there")
	}
	if n := snap.Revision() - before; n != 2 {
		t.Errorf("the revision grew by %d in two changes: other processes would not notice", n)
	}
}

func TestAFailedChangeChangesNothing(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	before := s.Snapshot()
	err := s.AddSite(ctx, sites.Site{Name: "a"})
	must(t, err)
	if err := s.AddSite(ctx, sites.Site{Name: "a", UIDs: []int{7}}); !errors.Is(err, sites.ErrExists) {
		t.Fatal(err)
	}
	if got := s.Snapshot().Revision(); got != before.Revision()+1 {
		t.Errorf("revision went from %d to %d", before.Revision(), got)
	}
}

func TestOpeningAgainFindsEverythingAndMigratesNothing(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	fill(t, s, "a", 1001, "192.0.2.1")
	before := dump(t, f)
	s, err = sites.New(ctx, f)
	must(t, err)
	if _, ok := s.Snapshot().Domain("a.example"); !ok || len(before) != len(dump(t, f)) {
		t.Error("something is missing")
	}
}

func TestTablesOfANewerProgramAreRefused(t *testing.T) {
	f := newFile(t)
	_, err := sites.New(t.Context(), f)
	must(t, err)
	must(t, f.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE panelmail_sites_version SET version = 1000`)
		return err
	}))
	if _, err := sites.New(t.Context(), f); err == nil {
		t.Error("they were opened")
	}
}

func TestConcurrentChangesAndReadersAgree(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t, s.AddSite(ctx, sites.Site{Name: "a"}))
	var all sync.WaitGroup
	const writers, changes = 4, 25
	for w := range writers {
		all.Go(func() {
			for i := range changes {
				name := fmt.Sprintf("d%d-%d.example", w, i)
				if err := s.AddDomain(ctx, sites.Domain{Name: name, Site: "a", Class: sites.Hosted}); err != nil {
					t.Error(err)
				}
				if d, ok := s.Snapshot().Domain(name); !ok || d.Site != "a" {
					t.Errorf("%s was added and is not seen", name)
				}
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var last int64
			for {
				select {
				case <-stop:
					return
				default:
				}
				snap, err := s.Current(ctx)
				if err != nil || snap.Revision() < last {
					t.Errorf("revision %d after %d, %v", snap.Revision(), last, err)
					return
				}
				last = snap.Revision()
				s.Source(ctx, from("x@d0-0.example", "a"))
				snap.LoginOwns("a", "x", "x@d0-0.example")
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	if list, err := s.ListDomains(ctx, "a"); err != nil || len(list) != writers*changes {
		t.Errorf("%d domains, %v", len(list), err)
	}
}

// TestRowsOfOneSiteAreNeverUsedForAnother asks for the mail of each site with the
// addresses of all: what comes back never carries another site's mark.
func TestRowsOfOneSiteAreNeverUsedForAnother(t *testing.T) {
	s := newSites(t)
	names := []string{"red", "green", "blue"}
	for i, name := range names {
		fill(t, s, name, 1001+i, fmt.Sprintf("192.0.2.%d", i+1))
	}
	snap := s.Snapshot()
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		site := rapid.SampledFrom(names).Draw(t, "site")
		index := map[string]int{"red": 1, "green": 2, "blue": 3}[site]
		local := rapid.SampledFrom([]string{"vip", "VIP", "vip+x", "u", `"a b"`, `"@red.example"`, "%", "*"}).Draw(t, "local")
		domain := rapid.SampledFrom([]string{"red.example", "GREEN.example", "blue.example.", "alias.red.example", "sub.blue.example", "other.example"}).Draw(t, "domain")
		sender := rapid.SampledFrom([]string{local + "@" + domain, "", "<>", "red", "@red.example", "default"}).Draw(t, "sender")
		q := transport.Query{Sender: sender, Recipient: "r@other.example", Origin: transport.Origin{Site: site}}

		if src, rule, ok, _ := snap.Source(ctx, q); ok && src.IPv4 != netip.AddrFrom4([4]byte{192, 0, 2, byte(index)}) {
			t.Fatalf("%+v leaves from %v by %s", q, src, rule)
		}
		hop, rule, ok, _ := snap.SmartHost(ctx, q)
		if want1, want2 := "[smart."+site+".example]:587", "[vip."+site+".example]:587"; ok && hop != want1 && hop != want2 {
			t.Fatalf("%+v goes through %s by %s", q, hop, rule)
		}
		for _, other := range names {
			c, rule, ok, _ := snap.Credential(ctx, q, "[smart."+other+".example]:587")
			if ok && c.User != site {
				t.Fatalf("%+v gets %v by %s", q, c, rule)
			}
		}
	})
}
