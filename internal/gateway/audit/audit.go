// Package audit makes one record of a request, in the form of CloudTrail's events, so that what reads those reads these.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
//
// Nothing secret gets into a record: a member that AWS's model marks as sensitive, or that package limits adds with a reason, is
// [Hidden], and so is every blob. What is in no model is not recorded at all.
package audit

import (
	"encoding/json/jsontext"
	"net/netip"
	"strconv"
	"time"

	"strongroom.dev/strongroom/internal/service/iam"
)

// EventVersion is the version of the format.
const EventVersion = "1.11"

// The limits of a record's parts, in bytes. What is longer is cut, or for parameters left out and said to be.
const (
	// MaximumParameters is CloudTrail's limit of requestParameters and responseElements.
	MaximumParameters = 100 << 10
	maximumText       = 1024
)

// Event is what a record tells.
type Event struct {
	// Identity of the caller, nil if it was not authenticated; AccessKeyID is then what the request claims.
	Identity    *iam.Identity
	AccessKeyID string
	// Time of the request.
	Time time.Time
	// Service is the signing name, and Operation AWS's name. Both are empty for a request that names none that is known.
	Service, Operation, APIVersion string
	// Region of the request.
	Region    string
	SourceIP  netip.Addr
	UserAgent string
	// ErrorCode and ErrorMessage are what the caller is answered, empty for success.
	ErrorCode, ErrorMessage string
	// Parameters and Response are values and how they are written; either Value may be nil.
	Parameters, Response Members
	// RequestID is the answer's, and EventID the record's own.
	RequestID, EventID string
	// ReadOnly says that the operation changes nothing.
	ReadOnly bool
	// Additional are the members of additionalEventData, which is left out if there are none.
	Additional []Member
	// Resources are what the request is about; none for an operation without a resource.
	Resources []Resource
	// TLSVersion, CipherSuite and Host are the connection's.
	TLSVersion, CipherSuite, Host string
}

// Resource is what a request is about.
type Resource struct{ ARN, Account string }

// Member is a member of additionalEventData. Its value is shown: it is no secret.
type Member struct{ Name, Value string }

// Append appends the record, one line without a line break.
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, `{"eventVersion":"`+EventVersion+`","userIdentity":`...)
	dst = e.appendIdentity(dst)
	dst = append(dst, `,"eventTime":"`...)
	dst = e.Time.UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, '"')
	if e.Service != "" {
		dst = text(dst, "eventSource", e.Service+".amazonaws.com")
	}
	dst = text(dst, "eventName", e.Operation)
	dst = text(dst, "awsRegion", e.Region)
	dst = text(dst, "sourceIPAddress", e.SourceIP.Unmap().String())
	dst = text(dst, "userAgent", e.UserAgent)
	dst = text(dst, "errorCode", e.ErrorCode)
	dst = text(dst, "errorMessage", e.ErrorMessage)
	dst = e.Parameters.append(dst, "requestParameters")
	dst = e.Response.append(dst, "responseElements")
	dst = e.appendAdditional(dst)
	dst = text(dst, "requestID", e.RequestID)
	dst = text(dst, "eventID", e.EventID)
	dst = append(dst, `,"readOnly":`...)
	dst = strconv.AppendBool(dst, e.ReadOnly)
	dst = e.appendResources(dst)
	dst = append(dst, `,"eventType":"AwsApiCall"`...)
	dst = text(dst, "apiVersion", e.APIVersion)
	dst = append(dst, `,"managementEvent":true`...)
	if e.Identity != nil {
		dst = text(dst, "recipientAccountId", e.Identity.Principal.Account)
	}
	dst = append(dst, `,"eventCategory":"Management"`...)
	if e.TLSVersion != "" {
		dst = append(dst, `,"tlsDetails":{"tlsVersion":`...)
		dst = quote(dst, e.TLSVersion)
		dst = text(dst, "cipherSuite", e.CipherSuite)
		dst = text(dst, "clientProvidedHostHeader", e.Host)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func (e *Event) appendAdditional(dst []byte) []byte {
	if len(e.Additional) == 0 {
		return dst
	}
	for i, m := range e.Additional {
		dst = append(dst, [2]string{`,"additionalEventData":{`, `,`}[min(i, 1)]...)
		dst = append(quote(dst, m.Name), ':')
		dst = quote(dst, m.Value)
	}
	return append(dst, '}')
}

func (e *Event) appendResources(dst []byte) []byte {
	if len(e.Resources) == 0 {
		return dst
	}
	for i, r := range e.Resources {
		if i == 0 {
			dst = append(dst, `,"resources":[{"ARN":`...)
		} else {
			dst = append(dst, `,{"ARN":`...)
		}
		dst = append(text(quote(dst, r.ARN), "accountId", r.Account), '}')
	}
	return append(dst, ']')
}

// appendIdentity appends who asked.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func (e *Event) appendIdentity(dst []byte) []byte {
	id := e.Identity
	if id == nil {
		dst = append(dst, `{"type":"Unknown"`...)
		return append(text(dst, "accessKeyId", e.AccessKeyID), '}')
	}
	dst = append(dst, `{"type":`...)
	dst = quote(dst, string(id.Type))
	dst = text(dst, "principalId", id.UserID)
	dst = text(dst, "arn", id.Principal.ARN)
	dst = text(dst, "accountId", id.Principal.Account)
	dst = text(dst, "accessKeyId", id.AccessKeyID)
	if id.Type == iam.TypeIAMUser {
		dst = text(dst, "userName", id.Name)
	}
	if id.Issued.IsZero() {
		return append(dst, '}')
	}
	dst = append(dst, `,"sessionContext":{`...)
	if id.Type == iam.TypeAssumedRole {
		dst = append(dst, `"sessionIssuer":{"type":"Role"`...)
		dst = text(dst, "principalId", role(id.UserID))
		dst = text(dst, "arn", id.Principal.RoleARN)
		dst = text(dst, "accountId", id.Principal.Account)
		dst = text(dst, "userName", id.Name)
		dst = append(dst, `},`...)
	}
	dst = append(dst, `"attributes":{"creationDate":"`...)
	dst = id.Issued.UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, `","mfaAuthenticated":"false"}`...)
	dst = text(dst, "sourceIdentity", id.SourceIdentity)
	return append(dst, `}}`...)
}

// role is the unique id of a session's role.
func role(userID string) string {
	for i := range len(userID) {
		if userID[i] == ':' {
			return userID[:i]
		}
	}
	return userID
}

// text appends a member after a comma, if it is not empty.
func text(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return quote(dst, value)
}

// quote appends a JSON string, cut to maximumText bytes. What is not UTF-8 is replaced.
func quote(dst []byte, value string) []byte {
	if len(value) > maximumText {
		value = value[:maximumText-len("...")] + "..."
	}
	return quoteWhole(dst, value)
}

func quoteWhole(dst []byte, value string) []byte {
	dst, _ = jsontext.AppendQuote(dst, value) // the error tells of invalid UTF-8, which was replaced
	return dst
}
