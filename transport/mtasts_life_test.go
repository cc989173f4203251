package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// policyPair is a certificate of mta-sts.x.test, which is its own authority.
var policyPair = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mta-sts.x.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<37, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, errors.Join(err, err2)
})

func policyCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	pair, err := policyPair()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// policyWith is a policy that lives for some time.
func policyWith(mode transport.STSMode, age time.Duration) func(http.ResponseWriter, *http.Request) {
	text := fmt.Sprintf("version: STSv1\nmode: %s\nmx: mx.x.test\nmax_age: %d\n", mode, int64(age/time.Second))
	return func(w http.ResponseWriter, _ *http.Request) { plain(w, text) }
}

func TestAPolicyLivesAsItSays(t *testing.T) {
	const day = 24 * time.Hour
	notFound := func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
	for name, tt := range map[string]struct {
		change func(w *policyWorld) // after the policy was fetched
		after  time.Duration        // from then on
		asks   bool                 // somebody does meanwhile, or only at the end
		want   string               // what STS says then
		soon   string               // and when all look-ups have ended
	}{
		"nothing changes": {func(w *policyWorld) {}, time.Hour, false, "enforce mx.x.test 1", "enforce mx.x.test 1"},
		"the id changes, and the policy": {func(w *policyWorld) {
			w.publish("_mta-sts.x.test", announced("2"))
			w.serves(policyWith(transport.STSTesting, 7*day))
		}, 5 * time.Minute, false, "enforce mx.x.test 1", "testing mx.x.test 2"},
		"the policy changes, and not the id": {func(w *policyWorld) { w.serves(policyWith(transport.STSNone, 7*day)) },
			6 * time.Minute, false, "enforce mx.x.test 1", "enforce mx.x.test 1"},
		"the policy changes, and the id a day later does not": {func(w *policyWorld) { w.serves(policyWith(transport.STSNone, 7*day)) },
			25 * time.Hour, false, "none mx.x.test 1", "none mx.x.test 1"},
		"the id changes, and the policy is gone": {func(w *policyWorld) {
			w.publish("_mta-sts.x.test", announced("2"))
			w.serves(notFound)
		}, 5 * time.Minute, false, "enforce mx.x.test 1", "enforce mx.x.test 1 (sts-policy-fetch-error)"},
		"the record is gone":              {func(w *policyWorld) { w.publish("_mta-sts.x.test", nil) }, 6 * day, false, "enforce mx.x.test 1", "enforce mx.x.test 1"},
		"the record is gone for too long": {func(w *policyWorld) { w.publish("_mta-sts.x.test", nil) }, 7 * day, false, "", ""},
		"the DNS fails":                   {func(w *policyWorld) { w.breaks() }, 7*day - 1, false, "enforce mx.x.test 1", "enforce mx.x.test 1"},
		"the DNS fails for too long":      {func(w *policyWorld) { w.breaks() }, 7 * day, false, "", ""},
		"the policy is gone":              {func(w *policyWorld) { w.serves(notFound) }, 6 * day, false, "enforce mx.x.test 1 (sts-policy-fetch-error)", "enforce mx.x.test 1 (sts-policy-fetch-error)"},
		"the policy is gone for too long": {func(w *policyWorld) { w.serves(notFound) }, 8 * day, false, " (sts-policy-fetch-error)", " (sts-policy-fetch-error)"},
		"years go by, and somebody asks":  {func(w *policyWorld) {}, 700 * day, true, "enforce mx.x.test 1", "enforce mx.x.test 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newPolicyWorld(t)
			w.run(t)
			if got := shownSTS(w.STS(t.Context(), "x.test")); got != "enforce mx.x.test 1" {
				t.Fatalf("%s: at first: %s", name, got)
			}
			synctest.Wait()
			tt.change(w)
			if tt.asks {
				for range tt.after / (20 * day) {
					time.Sleep(20 * day)
					w.STS(t.Context(), "x.test")
				}
			} else {
				time.Sleep(tt.after)
			}
			got := shownSTS(w.STS(t.Context(), "x.test"))
			synctest.Wait()
			if soon := shownSTS(w.STS(t.Context(), "x.test")); got != tt.want || soon != tt.soon {
				t.Errorf("%s: %q and soon %q, want %q and %q", name, got, soon, tt.want, tt.soon)
			}
		})
	}
}

func TestAPolicyIsFetchedAnewBeforeItExpires(t *testing.T) {
	for _, tt := range []struct {
		age, until time.Duration
		want       int
	}{
		{7 * 24 * time.Hour, 24*time.Hour - time.Minute, 0},
		{7 * 24 * time.Hour, 24*time.Hour + time.Hour, 1},
		{7 * 24 * time.Hour, 5 * 24 * time.Hour, 4},
		{6 * time.Hour, 4 * time.Hour, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newPolicyWorld(t)
			w.serve = policyWith(transport.STSEnforce, tt.age)
			w.run(t)
			w.STS(t.Context(), "x.test")
			w.took()
			time.Sleep(tt.until)
			synctest.Wait()
			n := 0
			for _, what := range w.took() {
				if strings.HasPrefix(what, "GET ") {
					n++
				}
			}
			if n < tt.want || n > tt.want+1 || tt.want == 0 && n != 0 {
				t.Errorf("a policy of %v was fetched %d times more in %v, want %d", tt.age, n, tt.until, tt.want)
			}
		})
	}
}

func TestAPolicyThatNobodyAsksForIsNotFetchedForEverAndThenDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPolicyWorld(t)
		w.run(t)
		w.STS(t.Context(), "x.test")
		time.Sleep(31 * 24 * time.Hour)
		w.took()
		if diff := cmp.Diff([]string{"x.test"}, w.store.domains()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(8 * 24 * time.Hour)
		if asked := w.took(); len(asked) != 0 {
			t.Errorf("asked for %v", asked)
		}
		if kept := w.store.domains(); len(kept) != 0 {
			t.Errorf("kept: %v", kept)
		}
	})
}
