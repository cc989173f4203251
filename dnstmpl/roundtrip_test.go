package dnstmpl_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/internal/interop"
)

// texts are octet strings of up to 2,000 octets: the delicate ones, and random ones,
// of all octets and of few.
func texts(random *rand.Rand, n int) []string {
	list := append([]string(nil), delicate...)
	for i := range n {
		b := make([]byte, random.IntN(2001))
		for j := range b {
			if b[j] = byte(random.Uint32()); i%2 == 0 {
				b[j] = `"\ ;0a`[random.IntN(6)]
			}
		}
		list = append(list, string(b))
	}
	return append(list, strings.Repeat("é", 1000))
}

// rendered is a zone with each text in a TXT record that a template made.
func rendered(t *testing.T, list []string) dnstmpl.Zone {
	t.Helper()
	tmpl, err := dnstmpl.Parse("texts", `{{range .DKIM}}{{fqdn .Name}} 60 IN TXT {{.Text}}
{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	data := example()
	for i, text := range list {
		data.DKIM = append(data.DKIM, dnstmpl.DKIM{Name: fmt.Sprintf("t%d.example.com", i), Text: dnstmpl.Quote(text)})
	}
	z, err := tmpl.Render(data)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestAnyOctetsComeBackFromANameServer(t *testing.T) {
	interop.NeedTime(t)
	list := texts(rand.New(rand.NewPCG(7, 7)), 200)
	server := interop.Named(t, "example.com", serve(t, rendered(t, list)))
	client := dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	conn, err := client.Dial(server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, text := range list {
		query := new(dns.Msg).SetQuestion(fmt.Sprintf("t%d.example.com.", i), dns.TypeTXT)
		answer, _, err := client.ExchangeWithConn(query, conn)
		if err != nil || len(answer.Answer) != 1 {
			t.Fatalf("text %d, %q: %v\n%v", i, text, err, answer)
		}
		if got := joined(t, answer.Answer[0]); got != text {
			t.Fatalf("put %q in, got %q", text, got)
		}
	}
}

func TestAnyOctetsComeBackFromTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(0, 2000).Draw(t, "length")
		text := string(rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, "octets"))
		r := dnstmpl.Record{Name: "example.com.", TTL: 60, Value: dnstmpl.TXT{Text: text}}
		p := dns.NewZoneParser(strings.NewReader(r.String()+"\n"), ".", "")
		rr, ok := p.Next()
		if !ok {
			t.Fatal(p.Err())
		}
		if got := joined(t, rr); got != text {
			t.Fatalf("put %q in, got %q", text, got)
		}
		z, err := dnstmpl.ParseZone("zone", "example.com", r.String())
		if err != nil || z.Records[0] != r {
			t.Fatalf("got %v, %v", z, err)
		}
	})
}

// joined is the text of a TXT record, taken from the octets on the wire.
func joined(t interface{ Fatal(...any) }, rr dns.RR) string {
	wire := make([]byte, 4096)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for data := wire[start+10 : end]; len(data) > 0; data = data[1+int(data[0]):] {
		text = append(text, data[1:1+int(data[0])]...)
	}
	return string(text)
}
