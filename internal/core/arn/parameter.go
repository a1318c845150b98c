package arn

import "strings"

// Parameter is the ARN of a parameter of AWS Systems Manager. A name and the same with a slash before it are one parameter.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
func Parameter(region, account, name string) string {
	return join("ssm", region, account, "parameter/"+strings.TrimPrefix(name, "/"))
}

// OfParameter is what the ARN of a parameter is of: its name without the slash at its beginning. ok is false if it is no parameter's.
func OfParameter(arn string) (region, account, name string, ok bool) {
	p, ok := split(arn)
	if !ok || p[1] != Partition || p[2] != "ssm" {
		return "", "", "", false
	}
	name, ok = strings.CutPrefix(p[5], "parameter/")
	return p[3], p[4], name, ok
}

// CanonicalParameter is a parameter's name without the slash at its beginning.
func CanonicalParameter(name string) string { return strings.TrimPrefix(name, "/") }

// ServiceSetting is the ARN of a setting of AWS Systems Manager, which an account has once in each region.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html#awssystemsmanager-resources-for-iam-policies
func ServiceSetting(region, account, id string) string {
	return join("ssm", region, account, "servicesetting/"+strings.TrimPrefix(id, "/"))
}
