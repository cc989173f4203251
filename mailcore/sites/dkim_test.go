package sites_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/mailcore/sites"
)

const dayLong = 24 * time.Hour

var (
	everywhere = sites.DKIMSighting{Good: 2}
	ed25519    = []dkim.Algorithm{dkim.Ed25519}
)

// withDomains makes sites a and b with a domain each.
func withDomains(t *testing.T) (*sites.Sites, *file) {
	t.Helper()
	f := newFile(t)
	s, err := sites.New(t.Context(), f)
	must(t, err)
	for _, name := range []string{"a", "b"} {
		must(t, s.AddSite(t.Context(), sites.Site{Name: name}),
			s.AddDomain(t.Context(), sites.Domain{Name: name + ".example", Site: name, Class: sites.Hosted}))
	}
	return s, f
}

func generate(t *testing.T, s *sites.Sites, p sites.DKIMPolicy) []sites.DKIMKey {
	t.Helper()
	made, err := s.GenerateDKIM(t.Context(), p)
	must(t, err)
	return made
}

// see lets every key that is due see its record on all servers, again and again, for
// as long as it is given.
func see(t *testing.T, s *sites.Sites, for_ time.Duration) {
	t.Helper()
	for end := time.Now().Add(for_); time.Now().Before(end); time.Sleep(time.Hour) {
		due, err := s.DueDKIM(t.Context(), 100)
		must(t, err)
		for _, k := range due {
			_, err := s.AdvanceDKIM(t.Context(), k, everywhere)
			must(t, err)
		}
	}
}

// states are the keys of a domain as "selector state".
func states(t *testing.T, s *sites.Sites, domain string) (all []string) {
	t.Helper()
	keys, err := s.ListDKIM(t.Context(), domain)
	must(t, err)
	for _, k := range keys {
		all = append(all, k.Selector+" "+string(k.State))
	}
	return all
}

// signers are the record names of the keys that sign for a domain.
func signers(t *testing.T, s *sites.Sites, domain string) (names []string) {
	t.Helper()
	keys, err := s.SigningKeys(t.Context(), domain)
	must(t, err)
	for _, k := range keys {
		names = append(names, k.RecordName())
	}
	return names
}

func TestASuccessorTakesThePlaceOfTheKeyOfItsAlgorithmAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		generate(t, s, sites.DKIMPolicy{Domain: "A.example", Algorithms: []dkim.Algorithm{dkim.RSA2048, dkim.Ed25519}, Every: -1})
		if got := signers(t, s, "a.example"); got != nil {
			t.Errorf("signed by %q before anything is published", got)
		}
		see(t, s, dayLong)
		first := []string{"r20000101._domainkey.a.example", "e20000101._domainkey.a.example"}
		if diff := cmp.Diff(first, signers(t, s, "a.example")); diff != "" {
			t.Errorf("signers (-want +got):\n%s", diff)
		}
		_, err := s.RotateDKIM(t.Context(), "a.example")
		must(t, err)
		if _, err := s.RotateDKIM(t.Context(), "a.example"); !errors.Is(err, sites.ErrInUse) {
			t.Errorf("rotated twice: %v", err)
		}
		due, err := s.DueDKIM(t.Context(), 100)
		must(t, err)
		for _, k := range due {
			if k.State == sites.DKIMPending && k.Algorithm == dkim.Ed25519 {
				k, err := s.AdvanceDKIM(t.Context(), k, everywhere)
				must(t, err)
				time.Sleep(4 * time.Hour)
				_, err = s.AdvanceDKIM(t.Context(), k, everywhere)
				must(t, err)
			}
		}
		want := []string{"r20000101 signing", "e20000101 stopped", "r20000102 pending", "e20000102 signing"}
		if diff := cmp.Diff(want, states(t, s, "a.example")); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		see(t, s, 30*dayLong)
		want = []string{"r20000101 retired", "e20000101 retired", "r20000102 signing", "e20000102 signing"}
		if diff := cmp.Diff(want, states(t, s, "a.example")); diff != "" {
			t.Errorf("in the end (-want +got):\n%s", diff)
		}
		see(t, s, 100*dayLong)
		if diff := cmp.Diff(want[2:], states(t, s, "a.example")); diff != "" {
			t.Errorf("when the old ones are forgotten (-want +got):\n%s", diff)
		}
	})
}

func TestADelegatedSelectorIsUsedAgainWhenItsMailIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		made := generate(t, s, sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519, Zone: "keys.panel.example"})
		if want := "e1._domainkey.a.example.keys.panel.example"; made[0].Target != want || made[0].Name != "e1._domainkey.a.example" {
			t.Errorf("the CNAME from %s leads to %s, want %s", made[0].Name, made[0].Target, want)
		}
		see(t, s, dayLong)
		rotate := func() error {
			_, err := s.RotateDKIM(t.Context(), "a.example")
			return err
		}
		must(t, rotate())
		see(t, s, dayLong)
		if err := rotate(); !errors.Is(err, sites.ErrInUse) {
			t.Errorf("a selector is free while mail is under way: %v", err)
		}
		see(t, s, 9*dayLong)
		must(t, rotate())
		want := []string{"e1 retired", "e2 signing", "e1 pending"}
		if diff := cmp.Diff(want, states(t, s, "a.example")); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestADomainIsSignedForByTheOneAboveOfTheSameSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		must(t,
			s.AddDomain(t.Context(), sites.Domain{Name: "sub.a.example", Site: "a", Class: sites.Hosted}),
			s.AddDomain(t.Context(), sites.Domain{Name: "theirs.a.example", Site: "b", Class: sites.Hosted}),
			s.AddDomain(t.Context(), sites.Domain{Name: "b.panel.example", Site: "b", Class: sites.Hosted}))
		if _, err := s.GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "panel.example", Algorithms: ed25519}); !errors.Is(err, sites.ErrNotFound) {
			t.Errorf("a key for a domain of nobody: %v", err)
		}
		generate(t, s, sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519})
		generate(t, s, sites.DKIMPolicy{Domain: "panel.example", Algorithms: ed25519, Own: true})
		see(t, s, dayLong)
		of := func(domain string) []string { return []string{"e20000101._domainkey." + domain} }
		for domain, want := range map[string][]string{
			"a.example":            of("a.example"),
			"x.a.example":          of("a.example"),
			"sub.a.example":        of("a.example"),
			"x.sub.a.example":      of("a.example"),
			"theirs.a.example":     nil,
			"x.theirs.a.example":   nil,
			"b.example":            nil,
			"aa.example":           nil,
			"example":              nil,
			"mail.panel.example":   of("panel.example"),
			"panel.example":        of("panel.example"),
			"b.panel.example":      nil,
			"mail.b.panel.example": nil,
		} {
			if diff := cmp.Diff(want, signers(t, s, domain)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", domain, diff)
			}
		}
	})
}

func TestAFirstKeyWhoseRecordWasGoneWaitsForCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		generate(t, s, sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519, Every: -1})
		look := func(seen sites.DKIMSighting, want sites.DKIMState) {
			t.Helper()
			keys, err := s.ListDKIM(t.Context(), "a.example")
			must(t, err)
			k, err := s.AdvanceDKIM(t.Context(), keys[0], seen)
			must(t, err)
			if k.State != want {
				t.Errorf("%s, want %s", k.State, want)
			}
		}
		look(everywhere, sites.DKIMSigning)
		time.Sleep(100 * dayLong)
		look(sites.DKIMSighting{Bad: 2, Wait: 5 * time.Hour}, sites.DKIMPending)
		time.Sleep(5 * time.Minute)
		look(sites.DKIMSighting{Good: 2, Wait: time.Hour}, sites.DKIMSeen)
		time.Sleep(5*time.Hour - time.Second)
		look(everywhere, sites.DKIMSeen)
		time.Sleep(time.Second)
		look(everywhere, sites.DKIMSigning)
	})
}

func TestAnImportedKeySignsAsAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		key, err := dkim.GenerateKey("a.example", "old", dkim.Ed25519)
		must(t, err)
		pem, err := key.MarshalPEM()
		must(t, err)
		policy := sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519}
		if _, err := s.ImportDKIM(t.Context(), policy, "old", []byte("no key")); !errors.Is(err, sites.ErrInvalid) {
			t.Errorf("not a key: %v", err)
		}
		_, err = s.ImportDKIM(t.Context(), policy, "old", pem)
		must(t, err)
		if _, err = s.ImportDKIM(t.Context(), policy, "old", pem); !errors.Is(err, sites.ErrExists) {
			t.Errorf("imported twice: %v", err)
		}
		if _, err = s.ImportDKIM(t.Context(), policy, "OLD", pem); !errors.Is(err, sites.ErrExists) {
			t.Errorf("imported twice, once in capitals: %v", err)
		}
		see(t, s, dayLong)
		signing, err := s.SigningKeys(t.Context(), "a.example")
		must(t, err)
		if len(signing) != 1 || !signing[0].Equal(key) {
			t.Errorf("signed by %v", signing)
		}
		must(t, s.RemoveDKIM(t.Context(), "a.example", "Old"))
		if got := signers(t, s, "a.example"); got != nil {
			t.Errorf("removed, it still signs: %q", got)
		}
	})
}

func TestAKeyRotatesWhenItsPolicySaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withDomains(t)
		generate(t, s, sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519, Every: 30 * dayLong})
		see(t, s, dayLong)
		keys, err := s.ListDKIM(t.Context(), "a.example")
		must(t, err)
		k := keys[0]
		if want := k.Signing.Add(30 * dayLong); !k.Rotate.Equal(want) {
			t.Errorf("to be replaced at %v, want %v", k.Rotate, want)
		}
		time.Sleep(28*dayLong + 20*time.Hour)
		_, err = s.AdvanceDKIM(t.Context(), k, everywhere)
		must(t, err)
		next, err := s.NextDKIM(t.Context())
		must(t, err)
		if !next.Equal(k.Rotate) {
			t.Errorf("looked after at %v, want %v", next, k.Rotate)
		}
	})
}

func TestAPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	s, _ := withDomains(t)
	for name, p := range map[string]sites.DKIMPolicy{
		"no domain":         {},
		"a blank":           {Domain: "a .example"},
		"an algorithm":      {Domain: "a.example", Algorithms: []dkim.Algorithm{"rsa1024"}},
		"an algorithm more": {Domain: "a.example", Algorithms: []dkim.Algorithm{dkim.Ed25519, dkim.Ed25519}},
		"every hour":        {Domain: "a.example", Every: time.Hour},
		"a zone":            {Domain: "a.example", Zone: "not a zone"},
	} {
		if _, err := s.GenerateDKIM(t.Context(), p); !errors.Is(err, sites.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPrivateKeyIsInItsTableAndNowhereElse looks for the octets of a private key in
// whatever can be printed, and in the file once it is retired.
func TestAPrivateKeyIsInItsTableAndNowhereElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := withDomains(t)
		made := generate(t, s, sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519, Every: -1})
		see(t, s, dayLong)
		keys, err := s.SigningKeys(t.Context(), "a.example")
		must(t, err)
		pem, err := keys[0].MarshalPEM()
		must(t, err)
		canary := strings.Split(string(pem), "\n")[1][20:]
		listed, err := s.ListDKIM(t.Context(), "")
		must(t, err)
		_, refused := s.ImportDKIM(t.Context(), sites.DKIMPolicy{Domain: "a.example"}, "x", pem[:len(pem)-40])
		_, twice := s.ImportDKIM(t.Context(), sites.DKIMPolicy{Domain: "a.example"}, made[0].Selector, pem)
		asJSON, err := json.Marshal(listed)
		must(t, err)
		for what, text := range map[string]string{
			"JSON":      string(asJSON),
			"%+v":       fmt.Sprintf("%+v %+v %+v %+v", s, s.Snapshot(), listed, keys),
			"%#v":       fmt.Sprintf("%#v %#v %#v %#v", s, s.Snapshot(), listed, keys),
			"an error":  fmt.Sprintf("%+v", refused),
			"a refusal": fmt.Sprintf("%+v", twice),
		} {
			if strings.Contains(text, canary) {
				t.Errorf("the private key is in %s: %s", what, text)
			}
		}
		rows := func() int {
			return len(slices.DeleteFunc(dump(t, f), func(row string) bool { return !strings.Contains(row, canary) }))
		}
		if n := rows(); n != 1 {
			t.Errorf("the private key is in %d rows", n)
		}
		if _, err := s.RotateDKIM(t.Context(), "a.example"); err != nil {
			t.Fatal(err)
		}
		see(t, s, 30*dayLong)
		if n := rows(); n != 0 {
			t.Errorf("of a key that was retired the private key is in %d rows", n)
		}
		info, err := os.Stat(f.path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v", info.Mode())
		}
	})
}

func TestOfThoseThatMakeTheSameKeyAtOnceOneMakesIt(t *testing.T) {
	s, _ := withDomains(t)
	atOnce := func(do func() ([]sites.DKIMKey, error)) (made []sites.DKIMKey, errs []error) {
		type outcome struct {
			made []sites.DKIMKey
			err  error
		}
		outcomes := make(chan outcome)
		for range 4 {
			go func() {
				made, err := do()
				outcomes <- outcome{made, err}
			}()
		}
		for range 4 {
			o := <-outcomes
			if made = append(made, o.made...); o.err != nil {
				errs = append(errs, o.err)
			}
		}
		return made, errs
	}
	made, errs := atOnce(func() ([]sites.DKIMKey, error) {
		return s.GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "a.example", Algorithms: ed25519})
	})
	if len(made) != 1 || len(errs) != 0 {
		t.Errorf("generated %v, %v", made, errs)
	}
	for range 2 { // seen, and signing at once, for it is the first
		_, err := s.AdvanceDKIM(t.Context(), made[0], everywhere)
		must(t, err)
	}
	made, errs = atOnce(func() ([]sites.DKIMKey, error) { return s.RotateDKIM(t.Context(), "a.example") })
	if len(made) != 1 || len(errs) != 3 {
		t.Errorf("rotated %v, %v", made, errs)
	}
	for _, err := range errs {
		if !errors.Is(err, sites.ErrInUse) {
			t.Error(err)
		}
	}
}
