package dnstmpl_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	evaluator "blitiri.com.ar/go/spf"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestARecordThatIsCompletedLetsThroughWhatIsWanted(t *testing.T) {
	terms := []string{"ip4:192.0.2.0/25", "ip4:192.0.2.128/25", "ip4:192.0.2.1", "ip6:2001:db8::/32", "include:one.test", "include:two.test", "a:host.test", "mx:three.test/31"}
	world := &internet{
		text: map[string][]string{"one.test": {"v=spf1 ip4:192.0.2.1 -ip4:192.0.2.2 include:two.test -all"}, "two.test": {"v=spf1 ?ip4:192.0.2.4 a:host.test ip4:192.0.2.4/30 ~all"}},
		mx:   map[string][]string{"three.test": {"host.test"}}, addrs: map[string][]netip.Addr{"host.test": addrs("192.0.2.1", "2001:db8::1")},
	}
	ips := addrs("192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.4", "192.0.2.5", "192.0.2.77", "192.0.2.200", "2001:db8::1", "2001:db8::2", "203.0.113.1")
	term := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", "-", "?"}).Draw(t, "qualifier") + rapid.SampledFrom(terms).Draw(t, "term")
	})
	rapid.Check(t, func(t *rapid.T) {
		published := strings.Join(append([]string{"v=spf1"}, append(rapid.SliceOfN(term, 0, 4).Draw(t, "published"), rapid.SampledFrom([]string{"-all", "~all", "redirect=one.test"}).Draw(t, "end"))...), " ")
		wanted := "v=spf1 " + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(terms), 1, 3, rapid.ID).Draw(t, "wanted"), " ") + " ~all"
		complete := func(text string) string {
			return dnstmpl.Zone{Name: "shop.example."}.CompleteSPF(t.Context(), world, "shop.example", text, wanted)
		}
		completed := complete(published)
		if again := complete(completed); again != completed {
			t.Fatalf("a second time %q becomes %q", completed, again)
		}
		for _, ip := range ips {
			result := func(text string) evaluator.Result {
				z, err := dnstmpl.ParseZone("x", "shop.example", fmt.Sprintf("shop.example. 60 IN TXT %q", text))
				if err != nil {
					t.Fatal(err)
				}
				return receiver{z, world}.judge(ip)
			}
			if result(wanted) == evaluator.Pass && result(completed) != evaluator.Pass {
				t.Fatalf("%s: %q and %q make %q, which gives %s", ip, published, wanted, completed, result(completed))
			}
		}
	})
}
