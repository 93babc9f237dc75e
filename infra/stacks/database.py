"""MLflow's database, reached from within alone, and the job that brings its schema up to date.

Applying the job does not run it: a deploy does, before the server of the same image.
"""

from infra.bindings import (
    Database,
    DatabaseAuthorities,
    DatabaseBackups,
    DatabaseBackupsKept,
    DatabaseFlag,
    DatabaseInsights,
    DatabaseInstance,
    DatabaseMaintenance,
    DatabaseNetwork,
    DatabaseSettings,
    DatabaseUser,
    Fn,
    Job,
    JobBinaryAuthorization,
    JobContainer,
    JobEnv,
    JobExecution,
    JobMount,
    JobNetwork,
    JobResources,
    JobSecret,
    JobSecretItem,
    JobTask,
    JobVolume,
    JobVpc,
    Lifecycle,
    ProjectIamCondition,
    ProjectIamMember,
    TerraformStack,
    TerraformVariable,
)
from infra.environment import Environment
from infra.sizing import DISK_LIMIT_GB

NAME = "mlflow"  # of the database within the instance
OWNER = "migrator"  # the user that owns the schema
PASSWORD_FILE = "/secrets/database/password"  # noqa: S105 - where it is, not what it is

# https://cloud.google.com/sql/docs/postgres/flags
FLAGS = {
    "cloudsql.iam_authentication": "on",
    "cloudsql.enable_pgaudit": "on",  # loads the library; the migration creates the extension
    "pgaudit.log": "ddl,role",  # who changed the schema or a grant; not the rows
    "log_checkpoints": "on",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_lock_waits": "on",
    "log_temp_files": "0",
    "log_min_duration_statement": "-1",  # statements hold values: never in a log
}
EXTENSIONS = ("pgaudit",)  # without it pgaudit.log writes nothing: https://cloud.google.com/sql/docs/postgres/pg-audit


class DatabaseStack(TerraformStack):
    """Cloud SQL for PostgreSQL: its private address, who signs for it, and the user that the server logs in as."""

    address: str
    authorities: str
    server_user: str

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        image: str,
        network: str,
        subnetwork: str,
        client_tag: str,
        mlflow: str,
        migrator: str,
        password: str,
        key: str | None,
        run_key: str | None,
    ) -> None:
        """`mlflow` and `migrator` are e-mail addresses, `password` a secret's id, keys are ids of Cloud KMS keys."""
        super().__init__(scope, id)
        instance = DatabaseInstance(
            self,
            "instance",
            name=env.name("mlflow"),
            region=env.region,
            database_version="POSTGRES_17",
            encryption_key_name=key,
            deletion_protection=True,  # by Terraform; the one in the settings holds whoever asks
            settings=self._settings(env, network),
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        self.address = str(instance.private_ip_address)
        self.authorities = self._authorities(str(instance.self_link))
        database = self._database(str(instance.name))
        owner = self._owner(env, str(instance.name))
        self.server_user = self._server_user(env, str(instance.name), mlflow)
        interface = JobNetwork(network=network, subnetwork=subnetwork, tags=[client_tag])
        Job(
            self,
            "migrate",
            name=env.name("migrate"),
            location=env.region,
            deletion_protection=False,  # it holds nothing
            launch_stage="GA",
            binary_authorization=JobBinaryAuthorization(use_default=True),
            template=JobExecution(
                task_count=1,
                parallelism=1,
                template=JobTask(
                    service_account=migrator,
                    timeout="1800s",
                    max_retries=1,  # it takes a lock, and does nothing where nothing is to be done
                    execution_environment="EXECUTION_ENVIRONMENT_GEN2",
                    encryption_key=run_key,
                    containers=[self._migration(image)],
                    volumes=[_password_volume(password)],
                    vpc_access=JobVpc(egress="ALL_TRAFFIC", network_interfaces=[interface]),
                ),
            ),
            depends_on=[database, owner],
        )

    def _settings(self, env: Environment, network: str) -> DatabaseSettings:
        recovery = env.database_recovery_days
        return DatabaseSettings(
            edition="ENTERPRISE",
            tier=env.database_tier,
            availability_type="REGIONAL" if env.database_standby else "ZONAL",
            activation_policy="ALWAYS",
            deletion_protection_enabled=True,
            retain_backups_on_delete=True,
            disk_type="PD_SSD",
            # No disk_size: after an automatic increase this provider version would replace the database to shrink its
            # disk. Without one Cloud SQL chooses the size, and Terraform keeps what the disk has grown to.
            disk_autoresize=True,
            disk_autoresize_limit=DISK_LIMIT_GB,
            connector_enforcement="NOT_REQUIRED",
            ip_configuration=DatabaseNetwork(
                ipv4_enabled=False,
                private_network=network,
                allocated_ip_range=env.name("peering"),
                enable_private_path_for_google_cloud_services=False,
                ssl_mode="ENCRYPTED_ONLY",
                server_ca_mode="GOOGLE_MANAGED_INTERNAL_CA",
            ),
            backup_configuration=DatabaseBackups(
                enabled=True,
                start_time="01:00",
                location=env.region,
                point_in_time_recovery_enabled=recovery > 0,
                transaction_log_retention_days=recovery or None,
                backup_retention_settings=DatabaseBackupsKept(retained_backups=env.backup_days, retention_unit="COUNT"),
            ),
            maintenance_window=DatabaseMaintenance(day=7, hour=3, update_track="stable"),
            insights_config=DatabaseInsights(
                query_insights_enabled=True,
                query_plans_per_minute=5,
                query_string_length=1024,
                record_application_tags=False,
                record_client_address=False,
            ),
            database_flags=[
                DatabaseFlag(name=name, value=value)
                for name, value in (FLAGS | {"max_connections": str(env.database_connections)}).items()
            ],
        )

    def _owner(self, env: Environment, instance: str) -> DatabaseUser:
        """The schema's owner. With this provider version only a user with a password may create tables."""
        password = TerraformVariable(
            self,
            "migrator_password",
            type="string",
            sensitive=True,
            nullable=False,
            description=f"The newest version of the secret {env.name('migrator-password')}.",
        )
        return DatabaseUser(
            self,
            "owner",
            name=OWNER,
            instance=instance,
            type="BUILT_IN",
            password_wo=password.string_value,  # write-only: no state holds it
            password_wo_version=env.migrator_password_version,
            deletion_policy="ABANDON",
        )

    def _authorities(self, instance: str) -> str:
        """Certificates (PEM) of those who sign for the instance with this link."""
        # All that are trusted, the next one too as soon as it is made: a deploy between making and rotating it is all
        # that a rotation needs. https://cloud.google.com/sql/docs/postgres/manage-ssl-instance#rotate-server-ca
        # By its link, which is known only when it is there: then alone it can be asked.
        found = DatabaseAuthorities(self, "authorities", instance=instance)
        return str(Fn.join("\n", found.get_list_attribute("certs[*].cert")))

    def _database(self, instance: str) -> Database:
        return Database(
            self,
            "database",
            name=NAME,
            instance=instance,
            charset="UTF8",
            collation="en_US.UTF8",
            deletion_policy="ABANDON",
            lifecycle=Lifecycle(prevent_destroy=True),
        )

    def _server_user(self, env: Environment, instance: str, mlflow: str) -> str:
        """The user that the account `mlflow` may log in as. Returns its name."""
        # The server logs in with its account's token, and has the rights on rows that the migration grants it.
        # The user's name: https://cloud.google.com/sql/docs/postgres/add-manage-iam-users
        name = f"{env.name('mlflow')}@{env.project}.iam"
        DatabaseUser(
            self,
            "server",
            name=name,
            instance=instance,
            type="CLOUD_IAM_SERVICE_ACCOUNT",
            deletion_policy="ABANDON",
        )
        # https://cloud.google.com/sql/docs/postgres/iam-conditions
        ProjectIamMember(
            self,
            "server_login",
            project=env.project,
            role="roles/cloudsql.instanceUser",
            member=f"serviceAccount:{mlflow}",
            condition=ProjectIamCondition(
                title="mlflow_database_only",
                expression=f'resource.name == "projects/{env.project}/instances/{env.name("mlflow")}"'
                ' && resource.service == "sqladmin.googleapis.com"',
            ),
        )
        return name

    def _migration(self, image: str) -> JobContainer:
        variables = {
            "DATABASE_HOST": self.address,
            "DATABASE_CA": self.authorities,
            "DATABASE_NAME": NAME,
            "DATABASE_USER": OWNER,
            "DATABASE_PASSWORD_FILE": PASSWORD_FILE,
            "SERVER_USER": self.server_user,
            "EXTENSIONS": ",".join(EXTENSIONS),
        }
        return JobContainer(
            name="migrate",
            image=image,
            args=["migrate"],
            env=[JobEnv(name=f"TRACKING_{name}", value=value) for name, value in variables.items()],
            volume_mounts=[JobMount(name="password", mount_path=PASSWORD_FILE.rpartition("/")[0])],
            resources=JobResources(limits={"cpu": "1", "memory": "1Gi"}),
        )


def _password_volume(secret: str) -> JobVolume:
    """Holds the newest version of the secret with this id, under the name that PASSWORD_FILE has."""
    file = JobSecretItem(path=PASSWORD_FILE.rpartition("/")[2], version="latest")
    return JobVolume(name="password", secret=JobSecret(secret=secret, default_mode=0o444, items=[file]))
