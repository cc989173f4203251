package transport

import (
	"crypto/x509"
	"fmt"
	"strings"
)

// A tlsUse says whether a session may, must or must not have TLS.
type tlsUse int

const (
	tlsNever   tlsUse = iota
	tlsOffered        // in clear if there is none
	tlsRequired
)

// A tlsProof is how a host has to prove who it is.
type tlsProof int

const (
	anyPeer   tlsProof = iota
	pinnedKey          // by a fingerprint
	tlsaKey            // by TLSA records
	pkiName            // by a chain to a root, and a name
)

// A demand is what TLS to one host has to come to: a plan, and what is published about
// the host.
type demand struct {
	use     tlsUse
	proof   tlsProof
	terms   tlsTerms
	server  string      // the name to say in the handshake
	names   []reference // for pkiName, and for records with usage 2
	records []TLSA      // usable ones

	weak    bool // names has one that is not authentic
	promise bool // the host must offer REQUIRETLS

	testing  bool   // an MTA-STS policy for tests is to be judged by names
	stranger string // what it has against the host; empty: nothing

	policy tlsPolicyID // what failures count for
	key    demandKey
}

// A demandKey is equal for demands that the same session meets.
type demandKey struct {
	use     tlsUse
	proof   tlsProof
	terms   TLSTerms
	names   string
	records string
	promise bool
}

// A tlsPolicyID names the policy that a session is counted for (RFC 8460 section 4.2).
type tlsPolicyID struct {
	kind   TLSPolicyKind
	domain string // the policy domain
	text   string // the policy, a line for each part
}

// An unfit host cannot be what a plan demands, whatever it says.
type unfit struct {
	reply Reply
	kind  TLSFailureKind // empty: not a matter of the host
	local bool           // a matter of our configuration
}

// Replies about demands that cannot be met.
func unfitf(kind TLSFailureKind, format string, args ...any) *unfit {
	return &unfit{reply: Replyf(451, "4.7.5", format, args...), kind: kind}
}

func misconfigured(format string, args ...any) *unfit {
	return &unfit{reply: Replyf(451, "4.7.5", "client TLS configuration problem: "+format, args...), local: true}
}

// A candidate is a host of a next hop, before it is connected to.
type candidate struct {
	nexthop nexthop
	host    string
	port    uint16
	facts   Facts
}

// authentic reports whether the name of the host is from the configuration, from the
// recipient's address, or from a validated answer.
func (c *candidate) authentic() bool {
	return c.nexthop.fixed || c.host == c.nexthop.name || c.facts.MXSecure
}

// demand is what a plan demands of a host. It asks nobody.
func (p *Plan) demand(c *candidate, required bool) (demand, *unfit) {
	terms, err := TLSPolicy{p.TLS, p.TLSTerms}.terms()
	if err != nil {
		return demand{}, misconfigured("%v", err)
	}
	d := demand{terms: terms, server: c.host, policy: tlsPolicyID{kind: NoTLSPolicy, domain: c.nexthop.name}}
	var no *unfit
	switch p.TLS {
	case TLSNone:
	case TLSMay:
		d.use = tlsOffered
	case TLSEncrypt:
		d.use = tlsRequired
	case TLSFingerprint:
		d.use, d.proof = tlsRequired, pinnedKey
	case TLSVerify, TLSSecure:
		d.use, d.proof, d.names = tlsRequired, pkiName, p.references(c, terms.match)
		d.weak = p.TLS == TLSVerify && !c.authentic() && len(terms.match) == 0
	case TLSDANE, TLSDANEOnly:
		no = p.dane(&d, c)
	default:
		no = misconfigured("level %q is not known", string(p.TLS))
	}
	if no == nil && p.TLSTerms.Published {
		no = d.sts(c)
	}
	if no == nil && (required || p.TLSTerms.Required) {
		no = p.require(&d, c)
	}
	d.key = demandKey{
		use: d.use, proof: d.proof, terms: p.TLSTerms, names: texts(d.names),
		records: strings.Join(tlsaTexts(d.records), "\n"), promise: d.promise,
	}
	return d, no
}

// references are the names of the levels verify and secure.
func (p *Plan) references(c *candidate, match []string) []reference {
	if len(match) == 0 {
		match = []string{"hostname"}
		if p.TLS == TLSSecure {
			match = []string{"nexthop", "dot-nexthop"}
		}
	}
	var all []reference
	for _, m := range match {
		below, dotted := strings.CutPrefix(m, ".")
		switch m {
		case "hostname":
			all = append(all, reference{name: strings.ToLower(c.host)})
		case "nexthop":
			all = append(all, reference{name: strings.ToLower(c.nexthop.name)})
		case "dot-nexthop":
			all = append(all, reference{name: strings.ToLower(c.nexthop.name), below: true})
		default:
			all = append(all, reference{name: below, below: dotted})
		}
	}
	return all
}

// dane puts what the TLSA records of a host demand into d (RFC 7672 section 2.2).
func (p *Plan) dane(d *demand, c *candidate) *unfit {
	only, f := p.TLS == TLSDANEOnly, &c.facts.TLSA
	at := fmt.Sprintf("%s:%d", c.host, c.port)
	d.policy = tlsPolicyID{kind: TLSATLSPolicy, domain: c.host, text: strings.Join(tlsaTexts(f.Records), "\n")}
	d.use = tlsOffered
	switch records := usableTLSA(f.Records); {
	case f.Status == DNSSECUnknown && only:
		return misconfigured("level %s, and no resolver whose validation is trusted", p.TLS)
	case only && !c.authentic():
		return unfitf(DANERequired, "non DNSSEC destination: the mail exchangers of %s are not secured", c.nexthop.name)
	case f.Status == DNSSECFailed:
		return unfitf(DNSSECInvalid, "TLSA lookup error for %s: %s", at, f.Detail)
	case f.Status != DNSSECSecure || len(f.Records) == 0:
		if only {
			return unfitf(DANERequired, "no TLSA records found for %s", at)
		}
		d.policy = tlsPolicyID{kind: NoTLSPolicy, domain: c.nexthop.name}
	case len(records) == 0:
		d.use = tlsRequired
		if only {
			return unfitf(TLSAInvalid, "TLSA records unusable for %s", at)
		}
	default:
		d.use, d.proof, d.records, d.weak = tlsRequired, tlsaKey, records, !c.authentic()
		if f.Base != "" {
			d.server = strings.ToLower(strings.TrimSuffix(f.Base, "."))
		}
		d.names = []reference{{name: d.server}}
		if c.nexthop.name != d.server {
			d.names = append(d.names, reference{name: c.nexthop.name})
		}
		d.policy.domain = d.server
	}
	return nil
}

// sts puts what the MTA-STS policy of the next hop demands into d (RFC 8461 section 5).
// Where the plan or the host's own records demand a proof, that decides about the
// certificate.
func (d *demand) sts(c *candidate) *unfit {
	f := &c.facts.STS
	if d.use == tlsNever || f.Mode != STSEnforce && f.Mode != STSTesting {
		return nil
	}
	policy := tlsPolicyID{kind: STSTLSPolicy, domain: c.nexthop.name, text: stsText(f)}
	stranger := ""
	if !stsNames(f.MX, c.host) {
		stranger = fmt.Sprintf("the MTA-STS policy of %s does not name host %s", c.nexthop.name, c.host)
	}
	if f.Mode == STSTesting {
		if d.proof == anyPeer {
			d.policy, d.testing, d.stranger = policy, true, stranger
			d.names = []reference{{name: strings.ToLower(c.host)}}
		}
		return nil
	}
	if stranger != "" {
		d.policy = policy
		return unfitf(ValidationFailure, "%s", stranger)
	}
	if d.proof == anyPeer {
		d.use, d.proof, d.policy = tlsRequired, pkiName, policy
		d.names = []reference{{name: strings.ToLower(c.host)}}
	}
	d.weak = false
	return nil
}

// stsText is a policy as in reports.
func stsText(f *STSFacts) string {
	text := "version: STSv1\nmode: " + string(f.Mode)
	for _, mx := range f.MX {
		text += "\nmx: " + mx
	}
	return text
}

// require raises d to what REQUIRETLS needs: a proof of a name that nobody could have
// put in our way (RFC 8689 section 4.2.1).
func (p *Plan) require(d *demand, c *candidate) *unfit {
	d.promise = true
	switch {
	case d.use == tlsNever:
		return &unfit{reply: Replyf(550, "5.7.30", "REQUIRETLS needs a verified peer, and level %s verifies none", p.TLS)}
	case d.proof != anyPeer && !d.weak:
		return nil
	}
	d.use, d.proof, d.weak, d.records, d.testing = tlsRequired, pkiName, false, nil, false
	d.server = c.host
	d.names = []reference{{name: c.nexthop.name}, {name: c.nexthop.name, below: true}}
	if host := strings.ToLower(c.host); c.authentic() && host != c.nexthop.name {
		d.names = append(d.names, reference{name: host})
	}
	return nil
}

// meets judges the certificates of a host. trust is how far they prove who it is,
// beyond what is demanded too; the error is a [*distrust].
func (d *demand) meets(certs []*x509.Certificate, roots *x509.CertPool) (trust Trust, err error) {
	if d.terms.roots != nil {
		roots = d.terms.roots
	}
	switch d.proof {
	case anyPeer:
		if chained(certs, roots) != nil {
			return Untrusted, nil
		}
		return Trusted, nil
	case pinnedKey:
		err = pinned(certs, d.terms.digests)
	case tlsaKey:
		err = proved(certs, d.records, d.names)
	case pkiName:
		err = trusted(certs, roots, d.names)
	}
	switch {
	case err != nil:
		return Untrusted, err
	case d.weak && d.proof == tlsaKey:
		return Trusted, nil
	}
	return Verified, nil
}

// fault is what a policy for tests would have failed of, nil if it is content or there
// is none.
func (d *demand) fault(certs []*x509.Certificate, roots *x509.CertPool) error {
	switch {
	case !d.testing:
		return nil
	case d.stranger != "":
		return &distrust{ValidationFailure, d.stranger}
	}
	return trusted(certs, roots, d.names)
}
