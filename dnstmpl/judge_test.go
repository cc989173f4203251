package dnstmpl_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/internal/interop"
)

// serve writes a zone with the records that a name server wants beside it.
func serve(t *testing.T, z dnstmpl.Zone) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "zone")
	text := fmt.Sprintf("%[1]s 60 IN SOA ns.%[1]s root.%[1]s 1 7200 3600 1209600 60\n%[1]s 60 IN NS ns.%[1]s\nns.%[1]s 60 IN A 192.0.2.53\n%[2]s", z.Name, z)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// judged loads a zone in named-checkzone and in ldns-read-zone, and reads what they
// understood it to be.
func judged(t *testing.T, z dnstmpl.Zone) {
	t.Helper()
	checkzone, readzone := interop.Need(t, "named-checkzone"), interop.Need(t, "ldns-read-zone")
	file := serve(t, z)
	apex := strings.TrimSuffix(z.Name, ".")
	strict := []string{"-q", "-D", "-o", "-", "-k", "fail", "-m", "fail", "-M", "fail", "-S", "fail", "-r", "ignore", "-i", "local", "-s", "full", apex, file}
	for _, judge := range [][]string{append([]string{checkzone}, strict...), {readzone, file}} {
		cmd := exec.Command(judge[0], judge[1:]...)
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil || complaint.Len() > 0 {
			t.Fatalf("%s: %v\n%s%s\nof\n%s", judge[0], err, complaint.String(), out, z)
		}
		read, err := dnstmpl.ParseZone(judge[0], apex, string(out))
		if err != nil {
			t.Fatalf("%s printed\n%s%v", judge[0], out, err)
		}
		if diff := cmp.Diff(ordered(z), ordered(read)); diff != "" {
			t.Errorf("%s read something else:\n%s", judge[0], diff)
		}
	}
}

// ordered is the records of a zone as lines in order, without those of a name server.
func ordered(z dnstmpl.Zone) []string {
	var lines []string
	for _, r := range z.Records {
		if r.Name != "ns."+z.Name && r.Type() != "SOA" && r.Type() != "NS" {
			lines = append(lines, r.String())
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func TestNameServersReadAZoneAsItWasMeant(t *testing.T) {
	everything, err := dnstmpl.ParseZone("zone", "example.com", everyType)
	if err != nil {
		t.Fatal(err)
	}
	everything.Records = slices.DeleteFunc(everything.Records, func(r dnstmpl.Record) bool {
		return r.Type() == "SOA" || r.Type() == "NS" || r.Name == "ns.example.com."
	})
	judged(t, everything)
	for _, tmpl := range []*dnstmpl.Template{
		parsed(t, dnstmpl.Parse, hosting),
		parsed(t, dnstmpl.ParseBlade, apiscp),
		parsed(t, dnstmpl.ParseBlade, strings.Replace(apiscp, "mx ?all", "mx include:relay.mailchannels.net ?all", 1)),
		dnstmpl.Default(),
	} {
		for _, subdomain := range []string{"", "shop", "a.b-c.2024"} {
			data := example()
			data.Subdomain = subdomain
			data.DKIM = []dnstmpl.DKIM{{Name: "s._domainkey.example.com", Text: "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 392)}}
			data.MTASTS, data.TLSRPT = "20260101", []string{"mailto:tls@example.com"}
			data.Services = []dnstmpl.Service{{Name: "_submissions._tcp", Weight: 1, Port: 465, Target: "mail.example.com"}, {Name: "_pop3._tcp", Target: "."}}
			z, err := tmpl.Render(data)
			if err != nil {
				t.Fatal(err)
			}
			judged(t, z)
		}
	}
}

func parsed(t *testing.T, parse func(name, text string) (*dnstmpl.Template, error), text string) *dnstmpl.Template {
	t.Helper()
	tmpl, err := parse("template", text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// Octets that have a meaning somewhere on the way to a name server.
var delicate = []string{
	"", `"`, `\`, `\\`, `b\c`, `\"`, `\065`, "\r\n", "\x00", "é", "\xff\xfe", ";", "; x", "(", ")", "$INCLUDE /etc/passwd", "@",
	"a\tb", " ", "  two  ", `" "`, "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 600), strings.Repeat("x", 255), strings.Repeat("x", 256),
	strings.Repeat(`\`, 255), strings.Repeat(`"`, 510), strings.Repeat("\x00", 600),
}

func TestNameServersReadTextOctetForOctet(t *testing.T) {
	z := dnstmpl.Zone{Name: "example.com."}
	for i, text := range delicate {
		z.Records = append(z.Records, dnstmpl.Record{Name: fmt.Sprintf("t%d.example.com.", i), TTL: 60, Value: dnstmpl.TXT{Text: text}})
	}
	judged(t, z)
}
