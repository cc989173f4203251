// Package transporttest helps to test what implements [transport.Transport], and
// what uses one.
//
// [Test] checks a Transport against the contract: the list in its comment is the
// list of what it tries. [Recorder] is a Transport that remembers what it was
// given and answers as told. [Content] is content that counts its readers. [Names]
// are name servers in memory, healthy and other ones.
package transporttest
