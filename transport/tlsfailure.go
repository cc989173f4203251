package transport

// A TLSFailureKind is what TLS failed of, as reports about it name it (RFC 8460
// section 4.3).
type TLSFailureKind string

// The kinds of failure: of the negotiation, of DANE, of MTA-STS.
const (
	STARTTLSNotSupported    TLSFailureKind = "starttls-not-supported"
	CertificateHostMismatch TLSFailureKind = "certificate-host-mismatch"
	CertificateExpired      TLSFailureKind = "certificate-expired"
	CertificateNotTrusted   TLSFailureKind = "certificate-not-trusted"
	ValidationFailure       TLSFailureKind = "validation-failure"

	TLSAInvalid   TLSFailureKind = "tlsa-invalid"
	DNSSECInvalid TLSFailureKind = "dnssec-invalid"
	DANERequired  TLSFailureKind = "dane-required"

	STSPolicyFetchError TLSFailureKind = "sts-policy-fetch-error"
	STSPolicyInvalid    TLSFailureKind = "sts-policy-invalid"
	STSWebPKIInvalid    TLSFailureKind = "sts-webpki-invalid"
)

// A TLSPolicyKind is where the policy came from that a session is counted for (RFC 8460
// section 4.2).
type TLSPolicyKind string

// The kinds of policy.
const (
	STSTLSPolicy  TLSPolicyKind = "sts"
	TLSATLSPolicy TLSPolicyKind = "tlsa"
	NoTLSPolicy   TLSPolicyKind = "no-policy-found" // none is published; ours count for nobody else
)
