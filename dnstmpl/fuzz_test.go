package dnstmpl_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/dnstmpl"
)

// hostile are templates that want something of the machine that renders them.
var hostile = []string{
	hosting, everyType,
	"$INCLUDE /etc/passwd\n$INCLUDE /etc/passwd example.com.",
	"{{.Vars.line}}", "{{fqdn .Vars.line .Zone}} 60 IN TXT {{txt .Vars.line}}", "{{printf `%c` 10}}$INCLUDE /etc/passwd",
	"{{\"\\n\"}}$GENERATE 1-100000000 $.example.com. A 192.0.2.1", "{{template `/etc/passwd`}}", "{{define `t`}}{{end}}{{block `x` .}}{{end}}",
	"{{range 1000000000000}}{{range 1000000000000}}{{end}}{{end}}", "{{range $i, $x := .IPs}}{{$i}}{{break}}{{else}}{{continue}}{{end}}",
	`{{$x := "0123456789"}}{{range 100}}{{$x = print $x $x}}{{end}}`, `{{join .Zone .IPs}}{{join .Zone .}}{{index .Vars "x"}}{{slice .Zone 3}}`,
	"{{.}}{{$}}{{.IPs}}{{print .}}{{printf `%v` .}}{{len .Vars}}{{.SPFRecords}}{{.Hosts}}{{.Greeters}}{{.Provider.Types}}",
	"{{with .DKIM}}{{(index . 0).Text}}{{end}}", "{{- /* */ -}}{{/*", "{{((((((1))))))}}", "{{1 | txt | txt | lower | trim}}", "{{nil}}", "{{`", "\xff\xfe{{.Zone}}", "",
	"example.com. 60 IN TXT \"\\000\\255\" \"\xff\x00\"\r\nexample.com.\t60\tIN\tMX\t0 .\n;\n ;", "*.example.com. 0 IN CNAME *.",
}

func FuzzATemplateMakesRecordsOrAnErrorWithALine(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, "example.com", "shop", "a line\nand another", []byte{192, 0, 2, 1})
	}
	for _, test := range broken {
		f.Add(test.text, "example.com", "", "", []byte(nil))
	}
	f.Fuzz(func(t *testing.T, text, zone, subdomain, value string, ip []byte) {
		hangs := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("%q does not end", text)) })
		defer hangs.Stop()
		tmpl, err := dnstmpl.Parse("mail.tmpl", text)
		if err != nil {
			placed(t, err)
			return
		}
		data := dnstmpl.Data{Zone: zone, Subdomain: subdomain, TTL: uint32(len(value)), Vars: map[string]string{"line": value}, DMARC: value}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			data.IPs = []netip.Addr{addr}
		}
		z, err := tmpl.Render(data)
		if err != nil {
			placed(t, err)
			return
		}
		understood(t, z)
	})
}

// placed checks that an error says where: the file, and the line unless the data is
// to blame.
func placed(t *testing.T, err error) {
	t.Helper()
	problems, ok := err.(dnstmpl.Problems)
	if !ok || len(problems) == 0 {
		t.Fatalf("%T is not Problems: %v", err, err)
	}
	for _, p := range problems {
		if p.File != "mail.tmpl" || p.Text == "" || p.Rule == "" || p.Line < 1 && p.Rule != dnstmpl.RuleData {
			t.Fatalf("not all is told: %+v", p)
		}
	}
}

// understood checks that everybody reads the records of a zone as they were meant.
func understood(t *testing.T, z dnstmpl.Zone) {
	t.Helper()
	again, err := dnstmpl.ParseZone("zone", z.Name, z.String())
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, z)
	}
	if len(z.Records) > 0 && !reflect.DeepEqual(z, again) {
		t.Fatalf("from\n%s\nit became\n%s", z, again)
	}
	if changes := z.Diff(again); len(changes) > 0 {
		t.Fatalf("a zone is different from itself: %v\n%s", changes, z)
	}
	for _, r := range z.Records {
		p := dns.NewZoneParser(strings.NewReader(r.String()), ".", "")
		rr, ok := p.Next()
		if !ok || p.Err() != nil || rr.Header().Name != r.Name || rr.Header().Ttl != r.TTL || dns.TypeToString[rr.Header().Rrtype] != r.Type() {
			t.Fatalf("%s\nis read as\n%v\n%v", r, rr, p.Err())
		}
		if _, more := p.Next(); more {
			t.Fatalf("%q is more than a record", r)
		}
	}
	text, err := json.Marshal(z)
	if err != nil {
		t.Fatal(err)
	}
	var back dnstmpl.Zone
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.String() != z.String() {
		t.Fatalf("through JSON\n%s\nbecame\n%s", z, back)
	}
}
