package transport

import (
	"slices"
	"strings"
)

// A provider takes mail for many domains at exchangers whose names end alike. Its
// key cannot be the name of a host.
type provider struct{ suffix, key string }

// providers are those that give customers exchanger names of their own, or have
// names that change, so that domains behind the same limits do not have the same
// set. The longest suffix counts. Nothing changes the list.
var providers = []provider{
	{"mail.protection.outlook.com", "*.mail.protection.outlook.com"}, // Microsoft 365
	{"mx.microsoft", "*.mail.protection.outlook.com"},                // the same with DNSSEC
	{"olc.protection.outlook.com", "*.olc.protection.outlook.com"},   // Outlook.com and Hotmail
	{"google.com", "*.google.com"},
	{"googlemail.com", "*.google.com"},
	{"yahoodns.net", "*.yahoodns.net"}, // Yahoo and AOL
	{"mail.icloud.com", "*.mail.icloud.com"},
	{"pphosted.com", "*.pphosted.com"},     // Proofpoint
	{"ppe-hosted.com", "*.ppe-hosted.com"}, // Proofpoint Essentials
	{"mimecast.com", "*.mimecast.com"},
	{"iphmx.com", "*.iphmx.com"},             // Cisco
	{"messagelabs.com", "*.messagelabs.com"}, // Symantec
	{"ess.barracudanetworks.com", "*.ess.barracudanetworks.com"},
	{"zoho.com", "*.zoho.com"},
	{"secureserver.net", "*.secureserver.net"}, // GoDaddy
	{"kundenserver.de", "*.kundenserver.de"},   // IONOS
}

// behind returns the key for whoever runs an exchanger: that of its provider, or
// else its name.
func behind(exchanger string) string {
	exchanger = strings.ToLower(exchanger)
	found := provider{key: exchanger}
	for _, p := range providers {
		head, ends := strings.CutSuffix(exchanger, p.suffix)
		if ends && (head == "" || strings.HasSuffix(head, ".")) && len(p.suffix) > len(found.suffix) {
			found = p
		}
	}
	return found.key
}

// maxKey is how long a key may be. A zone can list any number of exchangers.
const maxKey = 512

// destinationKey is the key for a set of exchangers: those behind each, sorted. A
// set that is partly a provider's is not the provider: somebody's broken host must
// not count as a failure of theirs. It is empty if there are too many.
func destinationKey(records []MX) string {
	var keys []string
	for _, mx := range records {
		keys = append(keys, behind(mx.Host))
	}
	slices.Sort(keys)
	key := strings.Join(slices.Compact(keys), ",")
	if len(key) > maxKey {
		return ""
	}
	return key
}
