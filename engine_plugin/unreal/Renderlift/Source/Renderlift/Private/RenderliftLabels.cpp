// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftLabels.h"

#include "Components/InstancedStaticMeshComponent.h"
#include "Components/StaticMeshComponent.h"
#include "Engine/StaticMesh.h"
#include "Engine/World.h"
#include "EngineUtils.h"
#include "GameFramework/Actor.h"
#include "HAL/IConsoleManager.h"
#include "HAL/PlatformTime.h"
#include "RenderliftLabelComponent.h"
#include "RenderliftLog.h"
#include "RenderliftNames.h"
#include "Templates/TypeHash.h"

#include <string>

namespace
{
	constexpr double ScanEverySeconds = 0.5;   // how soon a new actor has ids
	constexpr float InViewSeconds = 0.2f;	   // drawn since; longer than a frame of a slow editor
	constexpr int32 CustomDepthWithStencil = 3;
	const TCHAR* const TagPrefix = TEXT("renderlift_class:");

	std::string Utf8(const FString& Text)
	{
		return std::string(TCHAR_TO_UTF8(*Text.Left(255)));
	}

	// What a level designer would call it: the mesh, or else the actor's class, without numbers.
	FString GuessedClass(const AActor& Actor, const UPrimitiveComponent& Primitive)
	{
		const UStaticMeshComponent* const Mesh = Cast<UStaticMeshComponent>(&Primitive);
		const FString Name =
			Mesh && Mesh->GetStaticMesh() ? Mesh->GetStaticMesh()->GetName() : Actor.GetClass()->GetName();
		return FString(UTF8_TO_TCHAR(RenderliftNames::ClassOfName(Utf8(Name)).c_str()));
	}

	// Unset: nobody said what this actor is. Empty: somebody said that it is to be left unlabelled.
	TOptional<FString> SaidClass(const AActor& Actor)
	{
		if (const URenderliftLabelComponent* const Label = Actor.FindComponentByClass<URenderliftLabelComponent>())
		{
			return Label->ClassName;
		}
		for (const FName& Tag : Actor.Tags)
		{
			const FString Text = Tag.ToString();
			if (Text.StartsWith(TagPrefix))
			{
				return Text.RightChop(FCString::Strlen(TagPrefix));
			}
		}
		return TOptional<FString>();
	}

	// Changes with each component that is registered or taken away. Their number would not do: a blueprint that is dragged
	// about in the editor makes all of its components anew each time.
	uint32 RegisteredComponents(const AActor& Actor)
	{
		uint32 Result = 0;
		for (const UActorComponent* const Component : Actor.GetComponents())
		{
			if (Component && Component->IsRegistered())
			{
				Result ^= PointerHash(Component);
			}
		}
		return Result;
	}

	// The engine's own setting, above what scalability and project files said.
	void SetCustomDepth(int32 Value)
	{
		if (IConsoleVariable* const Variable = IConsoleManager::Get().FindConsoleVariable(TEXT("r.CustomDepth")))
		{
			Variable->Set(Value, ECVF_SetByConsole);
		}
	}
}

FRenderliftLabels::FRenderliftLabels(ERenderliftLabels InWhich) : Which(InWhich)
{
	const IConsoleVariable* const Variable = IConsoleManager::Get().FindConsoleVariable(TEXT("r.CustomDepth"));
	CustomDepthBefore = Variable ? Variable->GetInt() : CustomDepthWithStencil;
	if (Which != ERenderliftLabels::None && CustomDepthBefore != CustomDepthWithStencil)
	{
		SetCustomDepth(CustomDepthWithStencil);
	}
}

FRenderliftLabels::~FRenderliftLabels()
{
	Restore();
	if (Which != ERenderliftLabels::None && CustomDepthBefore != CustomDepthWithStencil)
	{
		SetCustomDepth(CustomDepthBefore);
	}
}

void FRenderliftLabels::Update(UWorld& World)
{
	if (Which != ERenderliftLabels::Labelled && Which != ERenderliftLabels::Everything)
	{
		return;
	}
	const double Seconds = FPlatformTime::Seconds();
	if (ScannedWorld.Get() != &World || Seconds - LastScanSeconds > ScanEverySeconds)
	{
		ScannedWorld = &World;
		LastScanSeconds = Seconds;
		Scan(World);
	}
	std::vector<FRenderliftIds> Now = ByImportance();
	if (Now == DealtFor)
	{
		return;
	}
	DealtFor = MoveTemp(Now);
	Stencils.Deal(DealtFor);
	if (Stencils.CountUnlabelled() > 0 && !bToldUnlabelled)
	{
		bToldUnlabelled = true;
		UE_LOG(LogRenderlift, Warning,
			TEXT("%d objects have no id: the level has more than 255 classes. Give unlike things one class with a Renderlift "
				 "Label component, or label only what matters (Project Settings, Renderlift, Labels)."),
			int32(Stencils.CountUnlabelled()));
	}
	for (FInstance& Instance : Instances)
	{
		Apply(Instance, Stencils.ValueOf(Instance.Ids.Instance));
	}
}

void FRenderliftLabels::Scan(UWorld& World)
{
	for (TActorIterator<AActor> Actor(&World); Actor; ++Actor)
	{
		// Levels have tens of thousands of actors, and hardly one of them changes.
		const uint32 Now = RegisteredComponents(**Actor);
		uint32& Then = Seen.FindOrAdd(*Actor, 0);
		if (Then != Now)
		{
			Then = Now;
			AddActor(**Actor);
		}
	}
}

void FRenderliftLabels::AddActor(AActor& Actor)
{
	const TOptional<FString> Said = SaidClass(Actor);
	if (Said ? Said->IsEmpty() : Which == ERenderliftLabels::Labelled)
	{
		return;
	}
	TInlineComponentArray<UPrimitiveComponent*> Primitives(&Actor);
	for (UPrimitiveComponent* const Primitive : Primitives)
	{
		if (Known.Contains(Primitive) || !Primitive->IsRegistered() || Primitive->IsEditorOnly())
		{
			continue;
		}
		Known.Add(Primitive);
		const FString ClassName = Said ? *Said : GuessedClass(Actor, *Primitive);
		// An actor is one object, unless it is a bag of unlike things: foliage, and other instanced meshes.
		const bool bAlone = !Said && Primitive->IsA<UInstancedStaticMeshComponent>();
		const UObject& Object = bAlone ? static_cast<const UObject&>(*Primitive) : Actor;
		AddPart(Object.GetPathName(), Object.GetName(), ClassName, *Primitive);
	}
}

void FRenderliftLabels::AddPart(
	const FString& Path, const FString& InstanceName, const FString& ClassName, UPrimitiveComponent& Primitive)
{
	int32* Place = InstanceByPath.Find(Path);
	if (!Place)
	{
		const uint32 Class = ClassId(ClassName);
		Place = &InstanceByPath.Add(Path, Instances.Num());
		FInstance& Instance = Instances.AddDefaulted_GetRef();
		Instance.Ids = FRenderliftIds{Class, uint32(Instances.Num())};
		Names.push_back({Instance.Ids.Instance, Utf8(InstanceName), Utf8(ClassName), Utf8(Path)});
		bNamesChanged = true;
	}
	FInstance::FPart& Part = Instances[*Place].Parts.AddDefaulted_GetRef();
	Part.Primitive = &Primitive;
	Part.bOwnCustomDepth = Primitive.bRenderCustomDepth;
	Part.OwnStencil = Primitive.CustomDepthStencilValue;
	DealtFor.clear();
}

uint32 FRenderliftLabels::ClassId(const FString& ClassName)
{
	if (const uint32* const Found = ClassIds.Find(ClassName))
	{
		return *Found;
	}
	const uint32 Id = uint32(ClassIds.Num()) + 1;
	ClassIds.Add(ClassName, Id);
	Names.push_back({Id, Utf8(ClassName), Utf8(ClassName), ""});
	return Id;
}

std::vector<FRenderliftIds> FRenderliftLabels::ByImportance() const
{
	std::vector<FRenderliftIds> Result;
	std::vector<FRenderliftIds> OutOfView;
	const bool bAllFit = Instances.Num() <= int32(FRenderliftStencils::Room);
	for (const FInstance& Instance : Instances)
	{
		const bool bInView = bAllFit || Instance.Parts.ContainsByPredicate(
			[](const FInstance::FPart& Part)
			{
				const UPrimitiveComponent* const Primitive = Part.Primitive.Get();
				return Primitive && Primitive->WasRecentlyRendered(InViewSeconds);
			});
		(bInView ? Result : OutOfView).push_back(Instance.Ids);
	}
	Result.insert(Result.end(), OutOfView.begin(), OutOfView.end());
	return Result;
}

void FRenderliftLabels::Apply(FInstance& Instance, uint8 Stencil)
{
	for (FInstance::FPart& Part : Instance.Parts)
	{
		UPrimitiveComponent* const Primitive = Part.Primitive.Get();
		if (!Primitive || (Stencil == 0 && !Part.bTaken))
		{
			continue;
		}
		// Custom depth stays on once taken: switching it rebuilds the primitive's render state, a new value does not.
		Part.bTaken = true;
		bAnyTaken = true;
		Primitive->SetRenderCustomDepth(true);
		Primitive->SetCustomDepthStencilValue(Stencil);
	}
}

void FRenderliftLabels::Restore()
{
	if (!bAnyTaken)
	{
		return;	 // asked for by every object of a package that is saved
	}
	bAnyTaken = false;
	for (FInstance& Instance : Instances)
	{
		for (FInstance::FPart& Part : Instance.Parts)
		{
			UPrimitiveComponent* const Primitive = Part.Primitive.Get();
			if (Primitive && Part.bTaken)
			{
				Primitive->SetCustomDepthStencilValue(Part.OwnStencil);
				Primitive->SetRenderCustomDepth(Part.bOwnCustomDepth);
			}
			Part.bTaken = false;
		}
	}
	DealtFor.clear();
}

FRenderliftStencils::FTable FRenderliftLabels::Table() const
{
	if (Which != ERenderliftLabels::ProjectStencil)
	{
		return Stencils.Table();
	}
	FRenderliftStencils::FTable Result{};
	for (uint32 Value = 1; Value < Result.size(); ++Value)
	{
		Result[Value].Class = Value;
	}
	return Result;
}

TOptional<std::vector<renderlift::IdName>> FRenderliftLabels::TakeChangedNames()
{
	if (!bNamesChanged)
	{
		return TOptional<std::vector<renderlift::IdName>>();
	}
	bNamesChanged = false;
	return Names;
}
