package sites_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/srs"
)

const day = 24 * time.Hour

// rotateTwice gives a site a ring with two secrets.
func rotateTwice(ctx context.Context, s *sites.Sites, site string) error {
	_, err1 := s.RotateSRS(ctx, site)
	_, err2 := s.RotateSRS(ctx, site)
	return errors.Join(err1, err2)
}

// A forwarder is the reverse-paths of one domain.
type forwarder struct {
	t      *testing.T
	sites  *sites.Sites
	domain string
}

func (f forwarder) rewriter() *srs.Rewriter {
	f.t.Helper()
	r, err := f.sites.Rewriter(f.t.Context(), f.domain)
	must(f.t, err)
	return r
}

// forward makes an address for a copy that leaves now.
func (f forwarder) forward() string {
	f.t.Helper()
	a, err := f.rewriter().Forward("alice@far.example")
	must(f.t, err)
	if !strings.HasSuffix(a, "@"+f.domain) {
		f.t.Fatalf("%s is not in %s", a, f.domain)
	}
	return a
}

// reverse says what becomes of a bounce that comes back now: nil if it reaches the
// sender.
func (f forwarder) reverse(a string) error {
	f.t.Helper()
	got, err := f.rewriter().Reverse(a)
	if err == nil && got != "alice@far.example" {
		f.t.Fatalf("%s leads to %s", a, got)
	}
	return err
}

// newForwarders returns the settings of sites a and b, with a.example and b.example,
// and the forwarders of these and of a domain that no site has.
func newForwarders(t *testing.T) (s *sites.Sites, a, b, host forwarder) {
	t.Helper()
	s = newSites(t)
	for _, name := range []string{"a", "b"} {
		must(t,
			s.AddSite(t.Context(), sites.Site{Name: name}),
			s.AddDomain(t.Context(), sites.Domain{Name: name + ".example", Site: name, Class: sites.Hosted}))
	}
	return s, forwarder{t, s, "a.example"}, forwarder{t, s, "b.example"}, forwarder{t, s, "mail.host.example"}
}

func TestABounceIsReadThroughTwoYearsOfRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s, a, b, host := newForwarders(t)
		_, err := s.RotateSRS(ctx, "b")
		must(t, err)
		type sent struct {
			by      forwarder
			address string
			day     int
		}
		var all []sent
		rotated := 0
		for today := range 730 {
			time.Sleep(day)
			made, _, err := s.RotateSRSByAge(ctx, 30*day)
			must(t, err)
			rotated += len(made)
			switch today {
			case 100:
				_, err = s.RotateSRS(ctx, "a") // begins a ring
			case 200, 400:
				err = s.ShareSRS(ctx, "a")
			case 205:
				_, err = s.RotateSRS(ctx, "a")
			case 300, 301, 302:
				err = rotateTwice(ctx, s, "b")
			}
			must(t, err)
			for _, by := range []forwarder{a, b, host} {
				all = append(all, sent{by, by.forward(), today})
			}
			all = slices.DeleteFunc(all, func(m sent) bool {
				age, err := today-m.day, m.by.reverse(m.address)
				if age <= 21 && err != nil || age == 22 && !errors.Is(err, srs.ErrExpired) || age >= 22 && err == nil {
					t.Errorf("day %d: an address of %s is %d days old: %v", today, m.by.domain, age, err)
				}
				return age > 25
			})
		}
		// The shared ring and that of b each month, and that of a for half of the time.
		if rotated < 2*23+8 {
			t.Errorf("%d rotations by themselves", rotated)
		}
		list, err := s.ListSRS(ctx)
		must(t, err)
		for _, r := range list {
			if !r.Until.IsZero() && r.Until.Before(time.Now()) || len(list) > 5 {
				t.Errorf("secrets are left: %v", list)
			}
		}
	})
}

func TestASecretIsForgottenWhenTheLastOfItsAddressesIsOutOfDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s, a, _, _ := newForwarders(t)
		first := a.forward()
		began := time.Now().UTC()
		time.Sleep(time.Hour)
		_, err := s.RotateSRS(ctx, "")
		must(t, err)
		replaced := began.Add(time.Hour)
		list, err := s.ListSRS(ctx)
		must(t, err)
		want := []sites.SRSSecret{
			{ID: 2, Created: replaced},
			{ID: 1, Created: began, Replaced: replaced, Until: replaced.Add(23 * day)},
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Fatalf("ring (-want +got):\n%s", diff)
		}
		time.Sleep(23*day - time.Second)
		if err := a.reverse(first); !errors.Is(err, srs.ErrExpired) {
			t.Errorf("while its secret is there: %v", err)
		}
		time.Sleep(time.Second)
		if err := a.reverse(first); !errors.Is(err, srs.ErrHash) {
			t.Errorf("when it is not: %v", err)
		}
		if _, _, err := s.RotateSRSByAge(ctx, 30*day); err != nil {
			t.Fatal(err)
		}
		if list, err = s.ListSRS(ctx); err != nil || len(list) != 1 || list[0].ID != 2 {
			t.Errorf("ring %v, %v", list, err)
		}
	})
}

func TestRotationByAgeSaysWhenItIsWantedNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s, a, b, _ := newForwarders(t)
		rotate := func() (made []string, after time.Duration) {
			t.Helper()
			secrets, next, err := s.RotateSRSByAge(ctx, 30*day)
			must(t, err)
			for _, r := range secrets {
				made = append(made, r.Site)
			}
			if !next.IsZero() {
				after = time.Until(next)
			}
			return made, after
		}
		check := func(wantMade []string, wantAfter time.Duration) {
			t.Helper()
			if made, after := rotate(); !slices.Equal(made, wantMade) || after != wantAfter {
				t.Errorf("rotated %q, next after %v; want %q, %v", made, after, wantMade, wantAfter)
			}
		}
		check(nil, 0) // no ring, for nothing was ever forwarded
		a.forward()
		check(nil, 30*day)
		time.Sleep(10 * day)
		_, err := s.RotateSRS(ctx, "b")
		must(t, err)
		b.forward()
		revision := s.Snapshot().Revision()
		check(nil, 20*day)
		if n := s.Snapshot().Revision(); n != revision {
			t.Error("something was written when nothing was due")
		}
		time.Sleep(20 * day)
		check([]string{""}, 10*day)
		time.Sleep(10 * day)
		check([]string{"b"}, 13*day) // then the first of the shared ring is forgotten
		time.Sleep(13 * day)
		check(nil, 7*day)
	})
}

func TestASiteMayHaveARingOfItsOwn(t *testing.T) {
	ctx := t.Context()
	s, a, b, host := newForwarders(t)
	shared := a.forward()
	_, err := s.RotateSRS(ctx, "a")
	must(t, err)
	own := a.forward()
	must(t, a.reverse(shared), a.reverse(own))
	must(t, s.ForgetSRS(ctx, "a"), a.reverse(own))

	must(t, s.ShareSRS(ctx, "a"))
	must(t, a.reverse(shared), a.reverse(own), a.reverse(a.forward()))
	if err := s.ShareSRS(ctx, "a"); !errors.Is(err, sites.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	must(t, s.ForgetSRS(ctx, "a"))
	if err := a.reverse(own); !errors.Is(err, srs.ErrHash) {
		t.Errorf("a ring that is forgotten: %v", err)
	}
	must(t, a.reverse(shared), b.reverse(b.forward()), host.reverse(host.forward()))

	for _, err := range []error{s.ShareSRS(ctx, ""), s.ShareSRS(ctx, "none")} {
		if err == nil {
			t.Error("a ring was shared that is none")
		}
	}
	if _, err := s.RotateSRS(ctx, "none"); !errors.Is(err, sites.ErrNotFound) {
		t.Errorf("a site that is none: %v", err)
	}
	if _, err := s.Rewriter(ctx, "no domain"); !errors.Is(err, sites.ErrInvalid) {
		t.Errorf("a domain that is none: %v", err)
	}
}

func TestASiteThatSharesItsRingWhenThereIsNoOtherBeginsOne(t *testing.T) {
	ctx := t.Context()
	s, a, b, _ := newForwarders(t)
	must(t, rotateTwice(ctx, s, "a"), rotateTwice(ctx, s, "b"))
	own, others := a.forward(), b.forward()
	must(t, s.ShareSRS(ctx, "a"))
	shared := a.forward()
	must(t, a.reverse(own), a.reverse(shared))
	must(t, s.ForgetSRS(ctx, "a"))
	if err := a.reverse(own); !errors.Is(err, srs.ErrHash) {
		t.Errorf("signed with a secret that is forgotten: %v", err)
	}
	list, err := s.ListSRS(ctx)
	must(t, err)
	var rings []string
	for _, r := range list {
		rings = append(rings, r.Site)
	}
	if want := []string{"", "b", "b"}; !slices.Equal(rings, want) {
		t.Errorf("secrets of rings %q, want %q", rings, want)
	}
	must(t, a.reverse(shared), b.reverse(others))
}

func TestAnAddressOfOneDomainIsNothingInAnother(t *testing.T) {
	s, a, b, host := newForwarders(t)
	for _, own := range []bool{false, true} {
		if own {
			must(t, rotateTwice(t.Context(), s, "b"))
		}
		all := []forwarder{a, b, host, {t, s, "sub.a.example"}}
		for _, from := range all {
			address := from.forward()
			for _, at := range all {
				if err := at.reverse(address); (err == nil) != (at.domain == from.domain) {
					t.Errorf("made for %s, come back to %s: %v", from.domain, at.domain, err)
				}
			}
		}
	}
	upper := forwarder{t, s, "A.EXAMPLE."}
	if err := upper.reverse(a.forward()); err != nil {
		t.Errorf("the same domain in other letters: %v", err)
	}
}

func TestARingThatIsFullIsLeftAlone(t *testing.T) {
	ctx := t.Context()
	s, a, _, _ := newForwarders(t)
	first := a.forward()
	for range 63 {
		_, err := s.RotateSRS(ctx, "")
		must(t, err)
	}
	_, err := s.RotateSRS(ctx, "")
	if want := `sites: ring of SRS of "default" is in use: 64 secrets of it still verify`; fmt.Sprint(err) != want || !errors.Is(err, sites.ErrInUse) {
		t.Errorf("%v, want %s", err, want)
	}
	if made, _, err := s.RotateSRSByAge(ctx, 0); len(made) != 0 || err != nil {
		t.Errorf("by age: %v, %v", made, err)
	}
	must(t, a.reverse(first), s.ForgetSRS(ctx, ""))
	if err := a.reverse(first); !errors.Is(err, srs.ErrHash) {
		t.Errorf("after all was forgotten: %v", err)
	}
	_, err = s.RotateSRS(ctx, "")
	must(t, err)
}

func TestAFullRingIsReplacedAsAWhole(t *testing.T) {
	ctx := t.Context()
	s, a, b, _ := newForwarders(t)
	for range 32 {
		must(t, rotateTwice(ctx, s, "a"))
	}
	if _, err := s.RotateSRS(ctx, "a"); !errors.Is(err, sites.ErrInUse) {
		t.Fatalf("the ring is not full: %v", err)
	}
	old, others := a.forward(), b.forward()
	made, err := s.ReplaceSRS(ctx, "a")
	must(t, err, a.reverse(a.forward()), b.reverse(others))
	if err := a.reverse(old); !errors.Is(err, srs.ErrHash) {
		t.Errorf("an address of before: %v", err)
	}
	list, err := s.ListSRS(ctx)
	must(t, err)
	if len(list) != 2 || list[1] != made {
		t.Errorf("secrets %v, want the shared one and %v", list, made)
	}
	if _, err := s.ReplaceSRS(ctx, "none"); !errors.Is(err, sites.ErrNotFound) {
		t.Errorf("a site that is none: %v", err)
	}
}

func TestADomainTakesWhatTheSharedRingMadeToAnotherSite(t *testing.T) {
	ctx := t.Context()
	s, a, b, _ := newForwarders(t)
	shared := a.forward()
	_, err := s.RotateSRS(ctx, "a")
	must(t, err, rotateTwice(ctx, s, "b"))
	own := a.forward()
	_, err = s.RemoveDomain(ctx, "a.example")
	must(t, err, s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "b", Class: sites.Hosted}))
	must(t, a.reverse(shared), a.reverse(a.forward()), b.reverse(b.forward()))
	if err := a.reverse(own); !errors.Is(err, srs.ErrHash) {
		t.Errorf("of the ring of the former site: %v", err)
	}
}

func TestTheSharedRingIsPreparedOnce(t *testing.T) {
	ctx := t.Context()
	s, a, _, _ := newForwarders(t)
	must(t, s.PrepareSRS(ctx))
	revision := s.Snapshot().Revision()
	made := a.forward()
	must(t, s.PrepareSRS(ctx), a.reverse(made))
	if n := s.Snapshot().Revision(); n != revision {
		t.Error("something was written when there was a secret")
	}
}

func TestTheFirstSecretIsMadeOnce(t *testing.T) {
	f := newFile(t)
	var all []forwarder
	for range 4 {
		s, err := sites.New(t.Context(), f)
		must(t, err)
		all = append(all, forwarder{t, s, "mail.host.example"})
	}
	made := make([]string, len(all))
	var done sync.WaitGroup
	for i, by := range all {
		done.Go(func() {
			if r, err := by.sites.Rewriter(t.Context(), by.domain); err == nil {
				made[i], _ = r.Forward("alice@far.example")
			}
		})
	}
	done.Wait()
	if made[0] == "" || len(slices.Compact(made)) != 1 {
		t.Errorf("addresses %q", made)
	}
}

func TestSecretsAreSeenByNobody(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	must(t, s.AddSite(ctx, sites.Site{Name: "a"}), s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		rotateTwice(ctx, s, ""), rotateTwice(ctx, s, "a"))
	var secrets [][]byte
	must(t, f.View(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT secret FROM panelmail_srs_secret`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var secret []byte
			must(t, rows.Scan(&secret))
			secrets = append(secrets, secret)
		}
		return rows.Err()
	}))
	if len(secrets) != 4 || len(secrets[0]) != 32 {
		t.Fatalf("%d secrets of %d octets", len(secrets), len(secrets[0]))
	}
	list, err := s.ListSRS(ctx)
	must(t, err)
	made, err := s.RotateSRS(ctx, "a")
	must(t, err)
	rewriter, err := s.Rewriter(ctx, "a.example")
	must(t, err)
	receipt, err := s.RemoveSite(ctx, "a", "")
	must(t, err)
	_, forged := rewriter.Reverse("SRS0=AAAAAAAA=AA=far.example=alice@a.example")
	_, none := s.RotateSRS(ctx, "none")
	var shown strings.Builder
	for _, v := range []any{s, s.Snapshot(), list, made, rewriter, *rewriter, receipt, forged, none, s.ShareSRS(ctx, "")} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&shown, verb, v)
		}
		slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "v", v)
		text, _ := json.Marshal(v)
		shown.Write(text)
	}
	for _, secret := range secrets {
		octets := strings.Trim(fmt.Sprint(secret[:8]), "[]")
		for _, trace := range []string{string(secret), octets, strings.ReplaceAll(octets, " ", ", "), hex.EncodeToString(secret[:8])} {
			if strings.Contains(shown.String(), trace) {
				t.Errorf("a secret is shown as %q", trace)
			}
		}
	}
}
