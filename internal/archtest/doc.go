// Package archtest checks the shape of the module: which package may import
// which, where SQL may be written, what public signatures may mention, and how
// long files and functions may get.
//
// The packages stand on floors, and imports only go down:
//
//	5  examples/…                        public packages only
//	4  mailcore/…                        except mailcore/sites
//	3  mailcore
//	2  queue, mailcore/sites
//	1  transport
//	0  srs, dkim, dnstmpl
//	-  internal/…                        the cellar: imports nothing of ours
//
// On one floor a package may import its own sub-packages, and a sub-package
// its parent; nothing else. Three exceptions are data in this package: address
// and rfc5322 may be used by the whole cellar, the packages of the workshop
// (benchmarks and harnesses, which drive the product from outside) may import
// anything but are imported by nobody but each other, and so may this one. The
// rules are about what is built into a program: what a test imports is free,
// except that the SQLite driver has one door for tests too and that examples
// keep to public packages in their tests as well.
//
// [Load] reads a module with the go command, and the check functions report
// violations as one sentence each. They hold for this module by an ordinary
// test; another test runs them over a module with planted violations, so that
// a rule which stopped finding anything is noticed.
package archtest
