// Package iam is AWS's policy language and its evaluation: documents are parsed strictly and compiled once, when they
// change, and a request is then decided in about a microsecond without allocation for patterns.
//
// The order of evaluation is AWS's: an explicit Deny anywhere ends it; else a resource policy, the identity policies, the
// permissions boundary and the session policies each have their say, and what nobody allows is denied.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
//
// Where AWS's documentation leaves a case open, this package takes the side that grants less, and the function says so.
// Organizations' SCPs and RCPs are not evaluated: an installation has no organization.
package iam
