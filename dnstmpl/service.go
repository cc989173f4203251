package dnstmpl

import (
	"path"
	"slices"
	"strings"
)

// A MailService is a provider of smart hosts, and what its customers publish so that
// receivers take their mail from it.
type MailService struct {
	Name string

	// Hosts are the names of its smart hosts, in lower case. A * stands for any
	// number of characters, dots too.
	Hosts []string

	// Include are the domains whose SPF records list the addresses it sends from.
	Include []string

	// OwnReversePath says that it sends with a reverse-path in a domain of its own,
	// until a customer sets one up: then SPF says nothing of the customer's domain,
	// and DMARC passes by DKIM alone.
	OwnReversePath bool
}

// MailServices lists the providers of smart hosts that are known, as their manuals
// described them in 2026. The caller may change what it gets.
func MailServices() []MailService {
	return []MailService{
		{Name: "Amazon SES", Hosts: []string{"email-smtp.*.amazonaws.com", "email-smtp-fips.*.amazonaws.com"}, Include: []string{"amazonses.com"}, OwnReversePath: true},
		{Name: "SendGrid", Hosts: []string{"*.sendgrid.net"}, Include: []string{"sendgrid.net"}, OwnReversePath: true},
		{Name: "Mailgun", Hosts: []string{"*.mailgun.org"}, Include: []string{"mailgun.org"}},
		{Name: "MailChannels", Hosts: []string{"*.mailchannels.net"}, Include: []string{"relay.mailchannels.net"}},
		{Name: "Postmark", Hosts: []string{"*.postmarkapp.com"}, Include: []string{"spf.mtasv.net"}, OwnReversePath: true},
		{Name: "Mailjet", Hosts: []string{"*.mailjet.com"}, Include: []string{"spf.mailjet.com"}, OwnReversePath: true},
		{Name: "SparkPost", Hosts: []string{"*.sparkpostmail.com"}, Include: []string{"sparkpostmail.com"}, OwnReversePath: true},
		{Name: "Mandrill", Hosts: []string{"*.mandrillapp.com"}, Include: []string{"spf.mandrillapp.com"}, OwnReversePath: true},
		{Name: "Brevo", Hosts: []string{"*.brevo.com", "*.sendinblue.com"}, Include: []string{"spf.brevo.com"}, OwnReversePath: true},
		{Name: "SMTP2GO", Hosts: []string{"*.smtp2go.com"}, Include: []string{"spf.smtp2go.com"}},
		{Name: "Google Workspace", Hosts: []string{"smtp-relay.gmail.com", "smtp.gmail.com"}, Include: []string{"_spf.google.com"}},
		{Name: "Microsoft 365", Hosts: []string{"smtp.office365.com", "*.mail.protection.outlook.com"}, Include: []string{"spf.protection.outlook.com"}},
		{Name: "Fastmail", Hosts: []string{"*.fastmail.com"}, Include: []string{"spf.messagingengine.com"}},
	}
}

// Has reports whether a smart host is the provider's, by its name without brackets and
// port, or by the domain whose mail exchangers it is.
func (s MailService) Has(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(s.Hosts, func(pattern string) bool {
		ok, err := path.Match(pattern, host)
		return ok && err == nil
	})
}

// KnownService is the first of [MailServices] that has a smart host. ok is false if
// none has it.
func KnownService(host string) (s MailService, ok bool) {
	for _, s := range MailServices() {
		if s.Has(host) {
			return s, true
		}
	}
	return MailService{}, false
}
