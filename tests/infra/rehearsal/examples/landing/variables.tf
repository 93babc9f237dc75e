variable "project" { type = string }

variable "region" {
  type    = string
  default = "europe-west4"
}

variable "days" {
  type    = number
  default = 30
}

variable "ranges" {
  type    = map(string)
  default = { nodes = "10.0.0.0/20" }
}
