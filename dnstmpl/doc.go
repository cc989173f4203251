// Package dnstmpl makes the DNS records that mail needs: templates become typed
// records, or problems with file, line, column and what to write instead.
//
// # From text to records
//
// [Parse] reads a template in the language of text/template, [ParseBlade] one in that
// of ApisCP, and [Import] makes one for Parse of that of another panel. [Default] is a
// template that makes everything the data has: a panel that needs no template of its
// own fills [Data] and renders that one. [Template.Render] executes a template; what
// it writes is one record a line,
//
//	name TTL class type data
//
// as in a zone file, and is parsed into a [Zone] of [Record] values. It is held to
// more than a zone file is, because a record that a name server takes and that does
// something else than it says is worse than an error:
//
//   - no directives ($INCLUDE, $GENERATE, $ORIGIN, $TTL), no parentheses, no line
//     that begins with a blank, nothing left out: name, TTL and class are on each line
//   - every name ends in a dot, is inside the zone if it owns a record, and is a host
//     name (letters, digits, hyphens) where a host is meant
//   - IN is the class; HS and CH are checked and left out of the zone
//   - the type is one that the provider takes ([Provider])
//   - text is quoted, in strings of up to 255 octets
//   - CNAME stands alone and not at the apex; there is one SPF record and one DMARC
//     record, and one of each other kind of text of which a second is an error
//
// All problems are reported at once, as [Problems].
//
// Nothing here opens a file, asks the network or runs a program because a template
// says so. A template has a limited number of steps and a limited size of output, so
// that a stranger's template costs a stranger's patience at most.
//
// # From records to everything else
//
// A zone is printed as zone text ([Zone.String]), as JSON, and as what a customer types
// into the form of another DNS provider ([Zone.Paste], [Zone.Entries]). [Zone.Diff]
// compares it with what is published, and completes an SPF record that is there
// ([MergeSPF]) where it would replace it.
//
// # Records that follow from where mail leaves
//
// [Default] is the template for domains that need nothing of their own. The SPF record
// in it ([Data.SPFRecords], for other templates too) lets pass what the data says of
// the egress and nothing else: addresses, joined to networks and spread over included
// records where one answer does not hold them, and smart hosts, by what is known of
// their providers ([MailServices]). [Zone.Lint] says what receivers would make of a
// zone: look-ups of SPF, policies that catch nobody, DMARC without alignment, names and
// addresses that do not agree.
//
// # Functions of templates
//
// Besides the actions of text/template (if, range, with, variables) there are and, or,
// not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf (widths up to 99) and
//
//	txt S...        the strings joined, quoted and split at 255 octets
//	fqdn L...       the labels that are not empty, joined by dots, with a final dot
//	ip4 IPS         the IPv4 addresses of a list
//	ip6 IPS         the IPv6 addresses of a list
//	rrtype IP       A or AAAA
//	list V...       a list
//	join SEP LIST   the items of a list with SEP between them
//	lower S         S in lower case
//	trim S          S without blanks around it
//	trimDot S       S without final dots
//	replace S A B   S with every A replaced by B
//	default D V     V, or D where V is empty
package dnstmpl
