package dnstmpl_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestARegexpOfNAPTRThatIsTakenIsTakenByNameServers(t *testing.T) {
	pieces := strings.Split(`a|b|\.|\!|\1|\2|(|)|(a)|(a|)|[|]|[^]a]|[[:alpha:]]|*|+|?|{1}|{2,3}|{2,}|{|}|^|$|.|,|-|\\|[a-z]|[z-a]`, "|")
	pieces = append(pieces, "|", "(x|y)", "!", "i", "9")
	random := rand.New(rand.NewPCG(3, 4))
	some := func(most int) string {
		var b strings.Builder
		for range random.IntN(most) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	zone := dnstmpl.Zone{Name: "example.com."}
	for i := range 5_000 {
		s := "!" + some(6) + "!" + some(4) + "!"
		line := fmt.Sprintf("n%d.example.com. 60 IN NAPTR 1 1 \"u\" \"x\" %s .", i, dnstmpl.Quote(s))
		if z, err := dnstmpl.ParseZone("zone", "example.com", line); err == nil {
			zone.Records = append(zone.Records, z.Records...)
		}
	}
	if len(zone.Records) < 500 {
		t.Fatalf("%d of 5000 are taken", len(zone.Records))
	}
	judged(t, zone)
}
