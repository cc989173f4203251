package transport

import "context"

// Facts are what is published about one host of a next hop, as far as it bears on
// TLS. The level of the plan says what of it counts. The zero Facts knows nothing.
type Facts struct {
	// MXSecure says that the name of the host is authentic: the answer that named
	// it was validated with DNSSEC. See [MX].
	MXSecure bool

	TLSA TLSAFacts
	STS  STSFacts
}

// A TLSAFinder finds the TLSA records of a host (RFC 7672). It is called from many
// goroutines.
type TLSAFinder interface {
	// TLSA looks up _port._tcp below the host: below the end of its aliases if
	// all of them are secure, else, or if there is nothing, below the name as
	// given. For a host whose addresses are not secure nothing is looked up
	// (RFC 7672 section 2.2.2): the status is DNSSECInsecure.
	TLSA(ctx context.Context, host string, port uint16) TLSAFacts
}

// An STSFinder finds the MTA-STS policy of a domain (RFC 8461). It is called from
// many goroutines.
type STSFinder interface {
	// STS returns the policy in force for a next-hop domain: one that was
	// fetched now, or one of the cache that has not expired. It may take as long
	// as ctx allows; where it is known to take longer, the facts are pending.
	STS(ctx context.Context, domain string) STSFacts
}

// TLSAFacts are the answer to a look-up of TLSA records.
type TLSAFacts struct {
	Status DNSSECStatus `json:"status,omitempty"`

	// Base is the TLSA base domain: the name below which the records were found
	// (RFC 7672 section 2.2.3). It is the first reference name.
	Base string `json:"base,omitempty"`

	// Records are all records as published, usable or not. None beside
	// DNSSECSecure means that there are none, for certain.
	Records []TLSA `json:"records,omitempty"`

	// Detail is what the look-up failed of, for people.
	Detail string `json:"detail,omitempty"`
}

// A DNSSECStatus says how far the answer to a look-up can be believed.
type DNSSECStatus string

// The statuses. What is bogus is not told apart from other failures: a validating
// resolver answers SERVFAIL to both.
const (
	DNSSECUnknown  DNSSECStatus = ""         // there is no resolver whose word we take for it
	DNSSECInsecure DNSSECStatus = "insecure" // an answer without AD: the records, if any, count for nothing
	DNSSECSecure   DNSSECStatus = "secure"   // validated: the records, or that there are none
	DNSSECFailed   DNSSECStatus = "failed"   // no answer: SERVFAIL, bogus, timeout
)

// A TLSA is a TLSA record (RFC 6698 section 2.1).
type TLSA struct {
	Usage        uint8  `json:"usage"`
	Selector     uint8  `json:"selector"`
	MatchingType uint8  `json:"matching_type"`
	Data         []byte `json:"data"` // the certificate association data, decoded
}

// STSFacts are what is known of the MTA-STS policy of a domain.
type STSFacts struct {
	// Mode is that of the policy in force. Empty: there is none, because the
	// domain has none, or because it could not be fetched and none is cached.
	Mode STSMode `json:"mode,omitempty"`

	// MX are the patterns of the policy: names, or "*." and a name, which stands
	// for one label (RFC 8461 section 4.1).
	MX []string `json:"mx,omitempty"`

	// ID is that of the policy's TXT record.
	ID string `json:"id,omitempty"`

	// Trouble says that the domain announces a policy which could not be had now.
	// It is one of the kinds of failure about MTA-STS, or empty. A policy of the
	// cache counts all the same.
	Trouble TLSFailureKind `json:"trouble,omitempty"`

	// Detail is what was wrong, for people.
	Detail string `json:"detail,omitempty"`

	// Pending says that there may be a policy, which is being looked for: mail waits.
	Pending bool `json:"pending,omitempty"`
}

// An STSMode is the mode of an MTA-STS policy (RFC 8461 section 5).
type STSMode string

// The modes.
const (
	STSNone    STSMode = "none"    // as if there were no policy
	STSTesting STSMode = "testing" // failures are counted, and mail goes out all the same
	STSEnforce STSMode = "enforce" // a host that fails gets no mail
)
