package mailcore

import (
	"errors"
	"fmt"

	"github.com/panelmail/panelmail/internal/restrict"
	"github.com/panelmail/panelmail/transport"
)

// Restrictions decide what is taken at the SMTP door, and from clients of a Backend: six
// lists in the words and the order of Postfix's smtpd_client_restrictions,
// smtpd_helo_restrictions and so on. The first five are evaluated at RCPT, relay before
// recipient; Data at DATA. A bare postmaster is taken whatever they say. The submission
// doors take what is from a login, and nothing else; these lists are not for them.
//
// The words are permit, permit_mynetworks (RelayNetworks), permit_sasl_authenticated,
// permit_auth_destination, reject, defer, defer_if_permit, defer_if_reject,
// warn_if_reject, reject_unauth_destination, defer_unauth_destination,
// reject_unauth_pipelining, reject_sender_login_mismatch with its variants for
// authenticated and other clients, reject_invalid_helo_hostname,
// reject_non_fqdn_helo_hostname, reject_unknown_helo_hostname, reject_non_fqdn_sender,
// reject_unknown_sender_domain, reject_non_fqdn_recipient,
// reject_unknown_recipient_domain, reject_unknown_client_hostname,
// reject_unknown_reverse_client_hostname, reject_rbl_client, reject_rhsbl_sender,
// check_client_access, check_helo_access, check_sender_access, check_recipient_access
// with the name of a table, and sleep with at most 30 seconds.
//
// Whatever the lists permit, mail to domains that are not ours is relayed only for
// RelayNetworks, for logins, and for what a table that Relay names says OK to. Lists
// that could make an open relay are refused: see [Server.OpenRelays].
type Restrictions struct {
	Client, Helo, Sender, Recipient, Data string

	// Relay, if empty, is "permit_mynetworks, permit_sasl_authenticated,
	// reject_unauth_destination".
	Relay string

	// Tables are access tables by name: their texts, in the format of access(5),
	// without DISCARD, FILTER, HOLD, REDIRECT, BCC and PREPEND. One has 8 MiB and
	// 100,000 lines at most.
	Tables map[string]string
}

const defaultRelay = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"

// policy reads the lists.
func (r Restrictions) policy() (*restrict.Policy, error) {
	if r.Relay == "" {
		r.Relay = defaultRelay
	}
	return restrict.Parse(restrict.Lists(r))
}

// check reports what is wrong with the lists. A resolver that does not know the names of
// clients is no good for some words.
func (r Restrictions) check(resolver transport.Resolver) (problems []error) {
	p, err := r.policy()
	if err == nil {
		err = p.CheckRelay()
		if _, ok := resolver.(transport.ClientResolver); resolver != nil && !ok && p.NeedsNames() {
			err = errors.Join(err, errors.New("the names of clients are asked for, which Resolver does not know: it is no transport.ClientResolver"))
		}
	}
	if err != nil {
		problems = append(problems, fmt.Errorf("Restrictions: %w", err))
	}
	return problems
}
