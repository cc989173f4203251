package dnstmpl_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

// everyType has a record of each type, in the form in which a zone is printed.
const everyType = `example.com. 60 IN SOA ns.example.com. root.example.com. 1 7200 3600 1209600 60
example.com. 60 IN NS ns.example.com.
example.com. 60 IN MX 10 mail.example.com.
mail.example.com. 60 IN A 192.0.2.1
mail.example.com. 60 IN AAAA 2001:db8::1
ns.example.com. 60 IN A 192.0.2.2
example.com. 60 IN CAA 128 issue "ca.test; validationmethods=dns-01"
www.example.com. 60 IN CNAME mail.example.com.
*.wild.example.com. 60 IN A 192.0.2.3
sub.example.com. 60 IN DNAME example.net.
mail.example.com. 60 IN HINFO "a \"cpu\"" "sys\\tem"
example.com. 60 IN NAPTR 100 10 "u" "E2U+email" "!^.*$!mailto:info@example.com!" .
_submissions._tcp.example.com. 60 IN SRV 0 1 465 mail.example.com.
_imap._tcp.example.com. 60 IN SRV 0 0 0 .
1.2.example.com. 60 IN PTR mail.example.com.
_25._tcp.mail.example.com. 60 IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
example.com. 60 IN TXT "v=spf1 mx -all"
binary.example.com. 60 IN TXT "\000\255\" \\ ;"
empty.example.com. 60 IN TXT ""
`

func TestAZoneReadFromItsTextIsTheSame(t *testing.T) {
	z, err := dnstmpl.ParseZone("zone", "example.com", everyType)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyType, z.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAZoneGoesThroughJSON(t *testing.T) {
	z, err := dnstmpl.ParseZone("zone", "example.com", everyType)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(z)
	if err != nil {
		t.Fatal(err)
	}
	var got dnstmpl.Zone
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(z, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestARecordInJSONHasItsDataInPartsToo(t *testing.T) {
	z, err := dnstmpl.ParseZone("zone", "example.com", "example.com. 60 IN MX 10 mail.example.com.\nexample.com. 60 IN TXT \"a\\\\b\"\nexample.com. 60 IN TXT \"\\255\"")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(z, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "zone": "example.com.",
  "records": [
    {
      "name": "example.com.",
      "ttl": 60,
      "class": "IN",
      "type": "MX",
      "data": "10 mail.example.com.",
      "value": {
        "preference": 10,
        "host": "mail.example.com."
      }
    },
    {
      "name": "example.com.",
      "ttl": 60,
      "class": "IN",
      "type": "TXT",
      "data": "\"a\\\\b\"",
      "value": {
        "text": "a\\b"
      }
    },
    {
      "name": "example.com.",
      "ttl": 60,
      "class": "IN",
      "type": "TXT",
      "data": "\"\\255\"",
      "value": {}
    }
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestABrokenRecordInJSONIsRefused(t *testing.T) {
	for _, text := range []string{
		`{"name":"example.com.","ttl":60,"class":"IN","type":"A","data":"x"}`,
		`{"name":"example.com.","ttl":60,"class":"CH","type":"TXT","data":"\"x\""}`,
		`{"name":"example.com.","ttl":60,"class":"IN","type":"A","data":"192.0.2.1\nexample.com. 60 IN A 192.0.2.2"}`,
		`{"name":"$INCLUDE /etc/passwd","ttl":60,"class":"IN","type":"A","data":"192.0.2.1"}`,
		`{"name":"","ttl":60,"class":"IN","type":"A","data":"192.0.2.1"}`,
		`{"name":"; ","ttl":60,"class":"IN","type":"A","data":"192.0.2.1"}`,
		`{"name":"example.com.","ttl":-1,"class":"IN","type":"A","data":"192.0.2.1"}`,
		`[]`,
	} {
		var r dnstmpl.Record
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s: got %v", text, r)
		}
	}
}

func TestPasteIsWhatOneTypesIntoTheFormOfAnotherProvider(t *testing.T) {
	long := "v=DKIM1; p=" + strings.Repeat("A", 250)
	z, err := dnstmpl.ParseZone("zone", "example.com", `example.com. 3600 IN MX 10 mail.example.com.
mail.example.com. 3600 IN A 192.0.2.1
s._domainkey.example.com. 3600 IN TXT `+dnstmpl.Quote(long)+`
_imaps._tcp.example.com. 3600 IN SRV 0 1 993 mail.example.com.
autoconfig.example.com. 3600 IN CNAME panel.example.net.
binary.example.com. 3600 IN TXT "\010"
none.example.com. 3600 IN MX 0 .
`)
	if err != nil {
		t.Fatal(err)
	}
	want := `DNS records for example.com. A name is relative to example.com, and @ is that domain itself. Where the form is for another domain, such as one above it, give the full name.

Type:       MX
Name:       @
Full name:  example.com
Priority:   10
Value:      mail.example.com
TTL:        3600

Type:       A
Name:       mail
Full name:  mail.example.com
Value:      192.0.2.1
TTL:        3600

Type:       TXT
Name:       s._domainkey
Full name:  s._domainkey.example.com
Value:      ` + long + `
In pieces:  "` + long[:255] + `" "` + long[255:] + `"
TTL:        3600

Type:       SRV
Name:       _imaps._tcp
Full name:  _imaps._tcp.example.com
Priority:   0
Value:      1 993 mail.example.com
TTL:        3600

Type:       CNAME
Name:       autoconfig
Full name:  autoconfig.example.com
Value:      panel.example.net
TTL:        3600

Type:       TXT
Name:       binary
Full name:  binary.example.com
Value:      "\010"
TTL:        3600

Type:       MX
Name:       none
Full name:  none.example.com
Priority:   0
Value:      .
TTL:        3600
`
	if diff := cmp.Diff(want, z.Paste()); diff != "" {
		t.Error(diff)
	}
	if e := z.Entries()[1]; e.FullName != "mail.example.com" {
		t.Errorf("the full name is %q", e.FullName)
	}
}
