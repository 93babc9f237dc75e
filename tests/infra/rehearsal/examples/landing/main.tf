# A network by a module, a bucket, and an account that writes to it.
terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.0"
    }
  }
  backend "gcs" {
    bucket = "somebodys-states"
    prefix = "landing"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

module "network" {
  source = "../modules/network"
  name   = "landing"
  ranges = var.ranges
}

resource "google_storage_bucket" "uploads" {
  name                        = "${var.project}-uploads"
  location                    = "EU"
  uniform_bucket_level_access = true

  lifecycle_rule {
    action { type = "Delete" }
    condition { age = var.days }
  }
  lifecycle { prevent_destroy = true }
}

resource "google_service_account" "uploader" {
  account_id = trimspace(file("${path.module}/files/account.txt"))
}

resource "google_storage_bucket_iam_member" "uploader" {
  bucket = google_storage_bucket.uploads.name
  role   = "roles/storage.objectCreator"
  member = google_service_account.uploader.member
}
