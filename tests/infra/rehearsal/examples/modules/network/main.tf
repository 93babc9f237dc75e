variable "name" { type = string }
variable "ranges" { type = map(string) }

resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false

  lifecycle { prevent_destroy = true }
}

resource "google_compute_subnetwork" "this" {
  for_each      = var.ranges
  name          = "${var.name}-${each.key}"
  network       = google_compute_network.this.id
  ip_cidr_range = each.value
}

output "id" { value = google_compute_network.this.id }
